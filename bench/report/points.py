"""Charts of points and lines: quality against time, and figures from baseline to baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparsr.bench.report.cases import Case, best
from sparsr.bench.report.drawing import SERIES, Dot, Drawing, Path, Shape, Words
from sparsr.runtime.plot import Axis

_WIDTH, _HEIGHT = 360.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 8.0, 12.0, 40.0
_LEGEND = 17.0


@dataclass(frozen=True)
class Line:
    """Points of one colour, some of them joined."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()
    joined: Sequence[tuple[float, float]] = ()
    """Corners of the line through them; its own points, or only those on a front."""


def chart(
    title: str, x_axis: str, y_axis: str, lines: Sequence[Line], logarithmic: bool, ticks: Sequence[str] = ()
) -> Drawing:
    """Points over two axes, a legend of the lines below.

    `ticks`: what is written at 0, 1, 2, ... of the horizontal axis in place of numbers.
    """
    points = [point for line in lines for point in line.points]
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    horizontal = Axis([x for x, _ in points], _LEFT, right, logarithmic)
    vertical = Axis([y for _, y in points], bottom, _TOP)
    shapes: list[Shape] = []
    for value in vertical.ticks:
        shapes.append(Path([(_LEFT, vertical(value)), (right, vertical(value))], "line"))
        shapes.append(Words(_LEFT - 5, vertical(value) + 4, f"{value:.4g}", "soft", "end"))
    for value in [float(number) for number in range(len(ticks))] or horizontal.ticks:
        x = horizontal(value)
        shapes.append(Path([(x, bottom), (x, bottom + 4)], "soft"))
        shapes.append(Words(x, bottom + 16, ticks[int(value)] if ticks else f"{value:.4g}", "soft", "middle"))
    shapes.append(Words(_WIDTH / 2, bottom + 32, f"{y_axis} over {x_axis}", "soft", "middle"))
    legend = [line.name for line in lines] if len(lines) > 1 else []
    for number, line in enumerate(lines):
        colour = SERIES[number % len(SERIES)]
        shapes.append(Path([(horizontal(x), vertical(y)) for x, y in line.joined], colour, 1.5))
        shapes += [Dot(horizontal(x), vertical(y), 4, colour) for x, y in line.points]
        shapes += _labels(line, horizontal, vertical)
    for number, name in enumerate(legend):
        y = _HEIGHT + _LEGEND * (number + 0.5)
        shapes += [Dot(_LEFT, y - 4, 4, SERIES[number % len(SERIES)]), Words(_LEFT + 10, y, name, "soft")]
    return Drawing(_WIDTH, _HEIGHT + _LEGEND * len(legend), title, tuple(shapes))


def _labels(line: Line, horizontal: Axis, vertical: Axis) -> list[Shape]:
    """Beside the points, on the side where there is room."""
    shapes: list[Shape] = []
    for (x, y), label in zip(line.points, line.labels, strict=False):
        left = horizontal(x) < (_LEFT + _WIDTH) / 2
        place = horizontal(x) + (7 if left else -7)
        shapes.append(Words(place, vertical(y) - 6, label, "ink", "start" if left else "end", 11))
    return shapes


def quality(cases: Sequence[Case]) -> dict[str, Drawing]:
    """PSNR against time with the Pareto front, a drawing per scale: each bundle's fastest run in single precision at
    every place. Of the data sets the one most bundles have a score on."""
    drawings = {}
    single = [case for case in best(cases) if case.row.precision == "float32"]
    for scale in sorted({case.results.info(case.row.bundle).scale for case in single}):
        same = [case for case in single if case.results.info(case.row.bundle).scale == scale]
        if data := _common_data(same):
            drawings[f"psnr_x{scale}"] = _quality(same, scale, data)
    return drawings


def _common_data(cases: Sequence[Case]) -> str:
    """The data set on which most bundles have a score, if two have."""
    sets: dict[str, set[str]] = {}
    for case in cases:
        for name in case.results.info(case.row.bundle).quality:
            sets.setdefault(name, set()).add(case.row.bundle)
    name = max(sets, key=lambda name: len(sets[name]), default="")
    return name if name and len(sets[name]) > 1 else ""


def _quality(cases: Sequence[Case], scale: int, data: str) -> Drawing:
    lines = []
    for place in dict.fromkeys(case.place for case in cases):
        fastest: dict[str, tuple[float, float]] = {}
        for case in sorted((case for case in cases if case.place == place), key=lambda case: case.time):
            scores = case.results.info(case.row.bundle).quality
            if data in scores:
                fastest.setdefault(case.row.bundle, (1000 * case.time, scores[data]["psnr_y"]))
        points = list(fastest.values())
        lines.append(Line(place, points, list(fastest), pareto_front(points)))
    title = f"Quality and time, ×{scale}"
    return chart(title, "ms for one image", f"dB of luma on {data}, ×{scale},", lines, logarithmic=True)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (cost, value) those points that no other beats in both, from the cheapest on."""
    front: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or value > front[-1][1]:
            front.append((cost, value))
    return front
