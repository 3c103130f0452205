"""Line plots as SVG drawings, without any package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 52
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
_TICKS = 6


@dataclass(frozen=True)
class Series:
    """Points joined by a line in their order, with a dot and maybe a label each."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()
    """A text per point; none for no labels."""
    dashed: bool = False


def plot(title: str, x_axis: str, y_axis: str, series: Sequence[Series], logarithmic: bool = False) -> str:
    """An SVG drawing of several lines with axes and legend. logarithmic: the horizontal axis, for values above 0.

    Raises ValueError if there is no point.
    """
    points = [point for line in series for point in line.points]
    if not points:
        raise ValueError("there is nothing to plot")
    horizontal = Axis([x for x, _ in points], _LEFT, _WIDTH - _RIGHT, logarithmic)
    vertical = Axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_WIDTH / 2, 22, title, "middle", 15),
        _text((_LEFT + _WIDTH) / 2, _HEIGHT - 12, x_axis, "middle"),
        _text(16, (_TOP + _HEIGHT - _BOTTOM) / 2, y_axis, "middle", turned=True),
    ]
    for value in horizontal.ticks:
        x = horizontal(value)
        parts.append(_line(x, _TOP, x, _HEIGHT - _BOTTOM, "#dddddd"))
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{value:.4g}", "middle"))
    for value in vertical.ticks:
        y = vertical(value)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, "#dddddd"))
        parts.append(_text(_LEFT - 6, y + 4, f"{value:.4g}", "end"))
    for number, line in enumerate(series):
        parts += _drawn(line, _COLOURS[number % len(_COLOURS)], horizontal, vertical)
        parts += _legend(line, _COLOURS[number % len(_COLOURS)], number, len(series))
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    font = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>\n' + "\n".join(parts) + "\n</svg>\n"


class Axis:
    """From values to pixels, with round numbers to write at it."""

    def __init__(self, values: Sequence[float], start: float, stop: float, logarithmic: bool = False) -> None:
        self._start, self._stop, self._logarithmic = start, stop, logarithmic
        low, high = min(values), max(values)
        if logarithmic:
            self._low, self._high = math.log(low / 1.15), math.log(high * 1.15)
            decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
            ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
            self.ticks = [tick for tick in ticks if self._low <= math.log(tick) <= self._high]
            return
        margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        self._low, self._high = low - margin, high + margin
        step = _round_step((self._high - self._low) / _TICKS)
        first, last = math.ceil(self._low / step), math.floor(self._high / step)
        self.ticks = [number * step for number in range(first, last + 1)]

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        position = (math.log(value) if self._logarithmic else value) - self._low
        return self._start + (self._stop - self._start) * position / (self._high - self._low)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step * 0.999)


def _drawn(line: Series, colour: str, horizontal: Axis, vertical: Axis) -> list[str]:
    places = [(horizontal(x), vertical(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>']
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
    return parts + [_text(x + 7, y + 14, label) for (x, y), label in zip(places, line.labels, strict=False)]


def _legend(line: Series, colour: str, number: int, count: int) -> list[str]:
    """In the lower right corner, where curves of quality against cost leave room."""
    y = _HEIGHT - _BOTTOM - 14 - 18 * (count - 1 - number)
    x = _WIDTH - _RIGHT - 210
    return [_line(x, y - 4, x + 24, y - 4, colour, 2), _text(x + 30, y, line.name)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12, turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{turn}>{escape(words)}</text>'
