"""Puts the result page together: one HTML file without any outside address, and the comparison picture beside it."""

from __future__ import annotations

from pathlib import Path
from string import Template

from sparsr.bench.measure.results import Results
from sparsr.bench.report import chart, details, figures, gallery
from sparsr.bench.report.markup import tag, text
from sparsr.bench.report.pictures import DETAIL, SHOWN, Pictures, embedded
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.media.images import write_image
from sparsr.runtime.model.card import BundleCard

_HERE = Path(__file__).parent
COMPARISON = "comparison.png"


def write_page(
    path: Path,
    bundle: str,
    card: BundleCard,
    pictures: Pictures,
    results: Results,
    exhibits: tuple[gallery.Exhibit, ...] = (),
) -> list[Path]:
    """Write the page to `path` and the comparison beside it; returns the files written.

    `bundle` is the bundle's id in `results`; `exhibits` are further pictures. Raises `SparsrError` if the results do
    not hold the bundle.
    """
    known = [info.id for info in results.bundles]
    if bundle not in known:
        raise SparsrError(f"the results hold no bundle {bundle}", f"they hold {', '.join(known)}; measure this one")
    comparison = path.with_name(COMPARISON)
    write_image(comparison, pictures.comparison(card.name))
    write_text(path, render(bundle, card, pictures, results, exhibits))
    return [path, comparison]


def render(
    bundle: str,
    card: BundleCard,
    pictures: Pictures,
    results: Results,
    exhibits: tuple[gallery.Exhibit, ...] = (),
) -> str:
    """The page's HTML."""
    shown = pictures.part(*SHOWN)
    parts = {
        "title": text(f"{card.name}: super-resolution ×{card.scale}"),
        "style": (_HERE / "page.css").read_text(encoding="utf-8"),
        "script": (_HERE / "page.js").read_text(encoding="utf-8"),
        "name": text(card.name),
        "subtitle": text(_subtitle(card)),
        "slider": _slider(shown, card.name),
        "caption": text(_caption(pictures, shown)),
        "details": _details(pictures, card.name),
        "gallery": gallery.render(exhibits),
        "figures": figures.render(figures.figures(results, bundle, card)),
        "chart": chart.render(results, bundle),
        "chart_legend": text(chart.legend(results)),
        "measurements": details.measurements(results),
        "layers": details.layers(results),
        "protocol": text(_protocol(results)),
        "setting": details.setting(results),
        "card": details.card_details(card),
    }
    template = Template((_HERE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(parts)


def _subtitle(card: BundleCard) -> str:
    kinds = {"dense": "dense", "imported": "official weights"}
    kind = kinds.get(card.method, f"pruned by {card.method.upper()}")
    return f"{card.architecture.upper()} network, {kind}, enlarges images {card.scale} times"


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


def _details(pictures: Pictures, name: str) -> str:
    """The panels of the comparison, side by side where there is room."""
    panels = pictures.part(*DETAIL).panels(name)
    return "".join(
        tag("figure", tag("img", src=embedded(pixels, lossless=True), alt=text(label)), tag("figcaption", text(label)))
        for label, pixels in panels.items()
    )


def _caption(whole: Pictures, shown: Pictures) -> str:
    def size(pixels: Pictures, what: str) -> str:
        height, width = getattr(pixels, what).shape[:2]
        return f"{width}×{height}"

    caption = f"{size(whole, 'before')} pixels became {size(whole, 'after')}."
    return caption if shown.whole else f"{caption} Shown is the {size(shown, 'after')} part that changed most."


def _protocol(results: Results) -> str:
    """How the figures were taken, in a few sentences."""
    settings = results.settings
    threads = f"{settings.threads} thread{'s' if settings.threads > 1 else ''}"
    return (
        f"Every engine ran in a process of its own, in float32 with {threads}, on the same input. The processes took "
        f"turns, one inference each, for {settings.rounds} rounds. Against dense: the {figures.basis_name(results)} of "
        "the fastest engine on the dense network divided by that of the row, round by round; their median and its "
        "confidence interval; above 1 the row is faster. Off by: the largest difference, in 8-bit levels, from the "
        "output most engines agree with; an engine more than 1 off is never compared with. Memory: peak of the "
        "process, Python included."
    )
