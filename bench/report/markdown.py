"""A report as Markdown, its charts and pictures as PNG files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsr.bench.report import blocks
from sparsr.bench.report.drawing import pixels

Pictures = dict[str, NDArray[np.uint8]]
"""Name of a PNG -> what it shows, uint8 RGB [h, w, 3]."""


def render(report: blocks.Report, folder: str) -> tuple[str, Pictures]:
    """The text, and the pictures it shows from `folder`. Exhibits stay with the page."""
    writer = _Writer(folder)
    lines = [f"# {_escaped(report.title)}", _escaped(report.subtitle)]
    for section in report.sections:
        lines += [f"## {_escaped(section.title)}", *map(writer.block, section.blocks)]
    return "\n\n".join(filter(None, lines)) + "\n", writer.pictures


class _Writer:
    """Writes block after block, and keeps the pictures."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.pictures: Pictures = {}
        self._writers: Mapping[type[blocks.Block], Callable[[Any], str]] = {
            blocks.Note: lambda note: _escaped(note.text),
            blocks.Heading: lambda heading: f"### {_escaped(heading.text)}",
            blocks.Table: _table,
            blocks.Terms: lambda terms: "\n".join(_terms(terms.values, 0)),
            blocks.Figures: _figures,
            blocks.Charts: self._charts,
            blocks.Comparison: self._comparison,
            blocks.Gallery: lambda gallery: "\n".join(f"- {_escaped(shown.caption)}" for shown in gallery.exhibits),
            blocks.Folded: self._folded,
        }

    def block(self, block: blocks.Block) -> str:
        return self._writers[type(block)](block)

    def _charts(self, charts: blocks.Charts) -> str:
        shown = [self._picture(name, drawing.title, pixels(drawing)) for name, drawing in charts.drawings.items()]
        return "\n".join(shown)

    def _comparison(self, comparison: blocks.Comparison) -> str:
        return self._picture("comparison", "Before and after", comparison.pictures.comparison(comparison.network))

    def _folded(self, folded: blocks.Folded) -> str:
        return "\n\n".join([f"### {_escaped(folded.summary)}", *map(self.block, folded.blocks)])

    def _picture(self, name: str, title: str, content: NDArray[np.uint8]) -> str:
        self.pictures[f"{name}.png"] = content
        return f"![{_escaped(title)}]({self._folder}/{name}.png)"


def _figures(figures: blocks.Figures) -> str:
    lines = (f"- **{_escaped(f.value)} {_escaped(f.label)}**: {_escaped(f.detail)}" for f in figures.figures)
    return "\n".join(lines)


def _table(table: blocks.Table) -> str:
    marks = ["---:" if number >= table.numeric_from else "---" for number, _ in enumerate(table.header)]
    return "\n".join([_line(table.header), _line(marks, str), *map(_line, table.rows)])


def _terms(values: Mapping[str, Any], depth: int) -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += [f"{'  ' * depth}- {_escaped(key)}:", *_terms(value, depth + 1)]
        elif value is not None:
            lines.append(f"{'  ' * depth}- {_escaped(key)}: {_escaped(value)}")
    return lines


def _escaped(value: object) -> str:
    """On one line, with nothing in it that Markdown or HTML would take for its own."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(value).split()))


def _line(cells: Sequence[str], written: Callable[[object], str] = _escaped) -> str:
    return f"| {' | '.join(map(written, cells))} |"
