"""Drawings of a few kinds of shapes, written as SVG for pages and as PNG for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sparsr.bench.report.markup import tag, text

PALETTE = {
    "paper": ("#fbfbf9", "#14171a"),
    "ink": ("#1b1e22", "#e8eaec"),
    "soft": ("#646a72", "#9ba2a9"),
    "line": ("#dcdedb", "#2d3237"),
    "raised": ("#ffffff", "#1b1f23"),
    "accent": ("#0b7a75", "#4fc1ba"),
    "accent-soft": ("#8cc5c1", "#2b6d69"),
    "grey": ("#9aa0a6", "#7c838a"),
    "grey-soft": ("#cfd2d5", "#474d53"),
    "alarm": ("#b3261e", "#f2857c"),
    "orange": ("#b85c00", "#e8a35c"),
    "blue": ("#2f6cb3", "#7fb0e8"),
    "plum": ("#8a4a86", "#cf95cb"),
}
"""Colours by what they are for: on light paper and on dark."""

SERIES = ("accent", "orange", "blue", "plum", "grey", "ink")
"""Colours of lines and points that belong to different things, in their order."""

_ZOOM = 2  # PNG pixels per unit, drawn at twice that and reduced, which smooths the edges
_SMOOTH = 2

_IN_ASCII = str.maketrans({"×": "x", "→": "->", "·": "on", "–": "-", "\u00a0": " "})
"""What the font that comes with Pillow lacks."""

Anchor = Literal["start", "middle", "end"]


def css_variables(dark: bool) -> str:
    """The palette as declarations of CSS."""
    return " ".join(f"--{name}: {colours[dark]};" for name, colours in PALETTE.items())


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True)
class Path:
    """Points joined by straight lines."""

    points: Sequence[tuple[float, float]]
    colour: str
    width: float = 1.0


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    colour: str


@dataclass(frozen=True)
class Words:
    """A line of text on the baseline `y`."""

    x: float
    y: float
    content: str
    colour: str = "ink"
    anchor: Anchor = "start"
    size: float = 12.0


Shape = Box | Path | Dot | Words


@dataclass(frozen=True)
class Drawing:
    """Shapes on a sheet; units are pixels of a narrow screen."""

    width: float
    height: float
    title: str
    """For who cannot see it."""
    shapes: tuple[Shape, ...]


def svg(drawing: Drawing) -> str:
    """Markup that takes its colours from the page's CSS variables and its width from where it stands."""
    box = f"0 0 {drawing.width:g} {drawing.height:g}"
    parts = [_element(shape) for shape in drawing.shapes]
    return tag("svg", tag("title", text(drawing.title)), *parts, viewBox=box, role="img", class_="drawing")


def _element(shape: Shape) -> str:
    fill = {"style": f"fill:var(--{shape.colour})"}
    if isinstance(shape, Box):
        place = {
            "x": _round(shape.x),
            "y": _round(shape.y),
            "width": _round(shape.width),
            "height": _round(shape.height),
        }
        return tag("rect", **place, rx=2, **fill)
    if isinstance(shape, Dot):
        return tag("circle", cx=_round(shape.x), cy=_round(shape.y), r=_round(shape.radius), **fill)
    if isinstance(shape, Words):
        place = {"x": _round(shape.x), "y": _round(shape.y)}
        return tag("text", text(shape.content), **place, text_anchor=shape.anchor, font_size=shape.size, **fill)
    points = " ".join(f"{_round(x)},{_round(y)}" for x, y in shape.points)
    return tag("polyline", points=points, style=f"fill:none;stroke:var(--{shape.colour});stroke-width:{shape.width:g}")


def _round(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def pixels(drawing: Drawing) -> NDArray[np.uint8]:
    """The drawing on light paper, uint8 RGB [h, w, 3]."""
    scale = _ZOOM * _SMOOTH
    sheet = Image.new("RGB", (round(drawing.width * scale), round(drawing.height * scale)), _light("paper"))
    pen = ImageDraw.Draw(sheet)
    for shape in drawing.shapes:
        _draw(pen, shape, scale)
    return np.asarray(sheet.resize((round(drawing.width * _ZOOM), round(drawing.height * _ZOOM)), Image.Resampling.BOX))


def _light(colour: str) -> str:
    return PALETTE[colour][0]


def _draw(pen: ImageDraw.ImageDraw, shape: Shape, scale: int) -> None:
    colour = _light(shape.colour)
    if isinstance(shape, Box):
        corners = (shape.x, shape.y, shape.x + shape.width, shape.y + shape.height)
        pen.rectangle([value * scale for value in corners], fill=colour)
    elif isinstance(shape, Dot):
        pen.circle((shape.x * scale, shape.y * scale), shape.radius * scale, fill=colour)
    elif isinstance(shape, Words):
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
        font = ImageFont.load_default(shape.size * scale)
        content = shape.content.translate(_IN_ASCII)
        pen.text((shape.x * scale, shape.y * scale), content, colour, font, anchor)
    else:
        places = [(x * scale, y * scale) for x, y in shape.points]
        pen.line(places, colour, max(1, round(shape.width * scale)), joint="curve")
