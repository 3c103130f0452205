"""Bar charts: time, memory, and shares of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparsr.bench.measure.results import Row
from sparsr.bench.report.cases import Case, best
from sparsr.bench.report.drawing import Box, Drawing, Path, Shape, Words
from sparsr.bench.report.units import mebibytes, milliseconds

_WIDTH, _ROW, _HEAD, _MARGIN = 360.0, 33.0, 27.0, 4.0
_MOST_LAYERS = 12


@dataclass(frozen=True)
class Bar:
    """One bar."""

    label: str
    length: float
    value: str
    """The length in words."""
    colour: str
    spread: tuple[float, float] | None = None
    """From where to where the middle half of the samples lies."""


def bar_chart(title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> Drawing:
    """Bars in groups under their names, all on one scale from zero; labels stand above, so that any width will do."""
    bars = [bar for _, group in groups for bar in group]
    longest = max((max(bar.length, *(bar.spread or (0.0,))) for bar in bars), default=1.0) or 1.0
    shapes: list[Shape] = []
    y = _MARGIN
    if len(groups) > 1:  # else the one group's name says all
        y += _HEAD
        shapes.append(Words(0, y - 8, title, "soft", size=13.0))
    for name, group in groups:
        y += _HEAD
        shapes.append(Words(0, y - 8, name, "ink", size=13.0))
        for bar in group:
            shapes += _bar(bar, y, (_WIDTH - 2) / longest)
            y += _ROW
    return Drawing(_WIDTH, y + _MARGIN, title, tuple(shapes))


def _bar(bar: Bar, y: float, scale: float) -> list[Shape]:
    words: list[Shape] = [
        Words(0, y + 11, bar.label, "soft"),
        Words(_WIDTH, y + 11, bar.value, "ink", "end"),
    ]
    shapes: list[Shape] = [*words, Box(0, y + 15, max(1.0, bar.length * scale), 10, bar.colour)]
    if bar.spread:
        low, high = (value * scale for value in bar.spread)
        shapes.append(Path([(low, y + 20), (high, y + 20)], "ink", 1.25))
        shapes += [Path([(end, y + 16.5), (end, y + 23.5)], "ink", 1.25) for end in (low, high)]
    return shapes


def latency(cases: Sequence[Case]) -> Drawing:
    """Time for one image: of every bundle at every place the fastest engines, from the fastest to the slowest."""

    def bar(case: Case) -> Bar:
        summary = case.row.cpu if case.results.settings.basis == "cpu" else case.row.wall
        assert summary
        spread = (summary.lower_quartile, summary.upper_quartile)
        return Bar(_label(case, cases), case.time, milliseconds(case.time), _colour(case), spread)

    return bar_chart("Time for one image", _by_bundle(best(cases), lambda case: case.time, bar))


def memory(cases: Sequence[Case]) -> Drawing | None:
    """What the engines add to their processes' peak memory, for the same cases; None if nobody told."""
    told = [case for case in best(cases) if case.row.memory]

    def added(case: Case) -> float:
        assert case.row.memory
        return float(case.row.memory.peak - case.row.memory.baseline)

    def bar(case: Case) -> Bar:
        return Bar(_label(case, cases), added(case), mebibytes(round(added(case))), _colour(case))

    return bar_chart("Memory", _by_bundle(told, added, bar)) if told else None


def _by_bundle(
    cases: Sequence[Case], order: Callable[[Case], float], bar: Callable[[Case], Bar]
) -> list[tuple[str, list[Bar]]]:
    groups: dict[str, list[Bar]] = {}
    for case in sorted(cases, key=lambda case: (not case.pruned, case.row.bundle, order(case))):
        method = case.results.info(case.row.bundle).method
        groups.setdefault(f"{case.row.bundle} ({method})", []).append(bar(case))
    return list(groups.items())


def _label(case: Case, cases: Sequence[Case]) -> str:
    several = len({other.place for other in best(cases)}) > 1
    precision = "" if case.row.precision == "float32" or case.row.precision in case.row.engine else case.row.precision
    return " ".join(filter(None, [case.row.engine, precision, f"· {case.place}" if several else ""]))


def _colour(case: Case) -> str:
    return ("accent" if case.pruned else "grey") + ("-soft" if case.row.kind == "rival" else "")


def layer_shares(row: Row) -> Drawing:
    """Which layers take the time of a network, the most expensive first."""
    total = sum(group.seconds for group in row.layers) or 1.0
    ordered = sorted(row.layers, key=lambda group: -group.seconds)
    bars = [
        Bar(
            f"{group.layers} × {group.kernel} {group.inputs}→{group.outputs}, {group.width}×{group.height}",
            group.seconds,
            f"{100 * group.seconds / total:.0f} %",
            "accent" if group.multiply_adds else "grey",
        )
        for group in ordered[:_MOST_LAYERS]
    ]
    if rest := ordered[_MOST_LAYERS:]:
        seconds = sum(group.seconds for group in rest)
        layers = sum(group.layers for group in rest)
        bars.append(Bar(f"{layers} others", seconds, f"{100 * seconds / total:.0f} %", "grey-soft"))
    return bar_chart(f"Layers of {row.bundle}", [(f"{row.bundle} in {row.engine}, {milliseconds(total)}", bars)])
