"""A report as one HTML file without any outside address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

from sparsr.bench.report import blocks
from sparsr.bench.report.drawing import css_variables, svg
from sparsr.bench.report.markup import tag, text
from sparsr.bench.report.pictures import DETAIL, SHOWN, Pictures, embedded

_HERE = Path(__file__).parent


def render(report: blocks.Report) -> str:
    """The page's HTML."""
    style = Template((_HERE / "page.css").read_text(encoding="utf-8"))
    parts = {
        "title": text(f"{report.title}: {report.subtitle}"),
        "style": style.substitute(light=css_variables(dark=False), dark=css_variables(dark=True)),
        "script": (_HERE / "page.js").read_text(encoding="utf-8"),
        "name": text(report.title),
        "subtitle": text(report.subtitle),
        "sections": "\n".join(map(_section, report.sections)),
    }
    return Template((_HERE / "page.html").read_text(encoding="utf-8")).substitute(parts)


def _section(section: blocks.Section) -> str:
    return tag("section", tag("h2", text(section.title)), *map(_block, section.blocks))


def _block(block: blocks.Block) -> str:
    return _RENDERERS[type(block)](block)


def _note(note: blocks.Note) -> str:
    return tag("p", text(note.text), class_="note")


def _heading(heading: blocks.Heading) -> str:
    return tag("h3", text(heading.text))


def _table(table: blocks.Table) -> str:
    """In a box that scrolls sideways where the screen is narrow."""

    def line(kind: str, cells: Iterable[str]) -> str:
        classes = ("figure" if number >= table.numeric_from else "name" for number, _ in enumerate(table.header))
        return tag("tr", *(tag(kind, text(cell), class_=name) for cell, name in zip(cells, classes, strict=True)))

    body = tag("tbody", *(line("td", row) for row in table.rows))
    return tag("div", tag("table", tag("thead", line("th", table.header)), body), class_="scroll", tabindex=0)


def _terms(terms: blocks.Terms) -> str:
    pairs = ((key, value) for key, value in terms.values.items() if value is not None)
    return tag("dl", *(tag("dt", text(key)) + tag("dd", _value(value)) for key, value in pairs))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _terms(blocks.Terms(value))
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    return text(value)


def _figures(figures: blocks.Figures) -> str:
    tiles = (
        tag(
            "li",
            tag("p", tag("strong", text(figure.value)), " ", tag("span", text(figure.label)), class_="headline"),
            tag("p", text(figure.detail), class_="detail"),
        )
        for figure in figures.figures
    )
    return tag("ul", *tiles, class_="figures")


def _charts(charts: blocks.Charts) -> str:
    return tag("div", *(tag("figure", svg(drawing)) for drawing in charts.drawings.values()), class_="charts")


def _gallery(gallery: blocks.Gallery) -> str:
    figures = (
        tag("figure", tag("img", src=shown.source, alt=shown.caption), tag("figcaption", text(shown.caption)))
        for shown in gallery.exhibits
    )
    return tag("div", *figures, class_="gallery")


def _folded(folded: blocks.Folded) -> str:
    return tag("details", tag("summary", text(folded.summary)), *map(_block, folded.blocks))


def _comparison(comparison: blocks.Comparison) -> str:
    shown = comparison.pictures.part(*SHOWN)
    caption = tag("figcaption", text(_caption(comparison.pictures, shown)))
    detail = comparison.pictures.part(*DETAIL).panels(comparison.network)
    panels = (
        tag("figure", tag("img", src=embedded(pixels, lossless=True), alt=label), tag("figcaption", text(label)))
        for label, pixels in detail.items()
    )
    slider = tag("figure", _slider(shown, comparison.network), caption, class_="slider")
    return slider + tag("h3", "In detail") + tag("div", *panels, class_="panels")


def _slider(shown: Pictures, name: str) -> str:
    """The two pictures on top of each other; the choices for the left one."""
    height, width = shown.after.shape[:2]
    sources = {"bicubic": embedded(shown.bicubic), "pixels": embedded(shown.before, lossless=True)}
    if shown.reference is not None:
        sources["original"] = embedded(shown.reference)
    left = [
        tag("img", src=source, alt=f"before: {choice}", class_=f"left {choice}", **_hidden(choice != "bicubic"))
        for choice, source in sources.items()
    ]
    right = tag("img", src=embedded(shown.after), alt=f"after: {name}", width=width, height=height)
    labels = tag("span", "bicubic", class_="label at-left") + tag("span", text(name), class_="label at-right")
    control = tag("input", type="range", min=0, max=100, step="0.1", aria_label="Where the two pictures meet")
    parts = [right, tag("div", *left, class_="over"), tag("i", class_="edge"), labels, control]
    view = tag("div", *parts, class_="view", style=f"--width:{width}px;--ratio:{width / height:.4f}")
    buttons = [
        tag("button", choice, type="button", data_choice=choice, aria_pressed=str(choice == "bicubic").lower())
        for choice in sources
    ]
    return view + tag("p", "Left side: ", *buttons, class_="choices")


def _hidden(hidden: bool) -> dict[str, str]:
    return {"hidden": ""} if hidden else {}


def _caption(whole: Pictures, shown: Pictures) -> str:
    def size(pixels: Pictures, what: str) -> str:
        height, width = getattr(pixels, what).shape[:2]
        return f"{width}×{height}"

    caption = f"{size(whole, 'before')} pixels became {size(whole, 'after')}."
    return caption if shown.whole else f"{caption} Shown is the {size(shown, 'after')} part that changed most."


_RENDERERS: dict[type[blocks.Block], Callable[[Any], str]] = {
    blocks.Note: _note,
    blocks.Heading: _heading,
    blocks.Table: _table,
    blocks.Terms: _terms,
    blocks.Figures: _figures,
    blocks.Charts: _charts,
    blocks.Comparison: _comparison,
    blocks.Gallery: _gallery,
    blocks.Folded: _folded,
}
