"""What a report consists of, whatever it is written as: sections of tables, charts, figures and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparsr.bench.report.drawing import Drawing
from sparsr.bench.report.gallery import Exhibit
from sparsr.bench.report.pictures import Pictures


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A title within a section."""

    text: str


@dataclass(frozen=True)
class Table:
    """Cells as plain text; columns from `numeric_from` on are figures."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric_from: int = 1


@dataclass(frozen=True)
class Terms:
    """Names and what they are; None is left out, mappings become lists inside."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A number, what it is, and what it is to be compared with."""

    value: str
    label: str
    detail: str


@dataclass(frozen=True)
class Figures:
    """Figures beside each other, the most telling first."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Charts:
    """Drawings beside each other where there is room, each with the name of its PNG."""

    drawings: Mapping[str, Drawing]


@dataclass(frozen=True)
class Comparison:
    """A picture before and after, one over the other, and a detail side by side."""

    pictures: Pictures
    network: str


@dataclass(frozen=True)
class Gallery:
    """Further pictures."""

    exhibits: Sequence[Exhibit]


@dataclass(frozen=True)
class Folded:
    """What only some readers want."""

    summary: str
    blocks: Sequence[Block]


Block = Note | Heading | Table | Terms | Figures | Charts | Comparison | Gallery | Folded


@dataclass(frozen=True)
class Section:
    """Blocks under a title."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """The whole."""

    title: str
    subtitle: str
    sections: Sequence[Section]
