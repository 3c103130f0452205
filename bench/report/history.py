"""The history: how the figures that have a budget went from baseline to baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sparsr.bench.budgets.baseline import Baseline, Figure
from sparsr.bench.budgets.metrics import METRICS
from sparsr.bench.report.blocks import Block, Charts, Note, Section, Table
from sparsr.bench.report.drawing import Drawing
from sparsr.bench.report.points import Line, chart

_Series = Mapping[tuple[object, ...], Sequence[Figure | None]]
"""What a figure is of -> its value in every baseline."""


def section(baselines: Sequence[Baseline]) -> Section:
    """A chart per metric, and a table of all figures; the oldest baseline first."""
    ordered = sorted(baselines, key=lambda baseline: baseline.created)
    series: dict[tuple[object, ...], list[Figure | None]] = {}
    for number, baseline in enumerate(ordered):
        for figure in baseline.figures:
            series.setdefault(figure.key, [None] * len(ordered))[number] = figure
    dates = [baseline.created[:10] for baseline in ordered]
    blocks: list[Block] = []
    if len(ordered) > 1:
        metrics = dict.fromkeys(str(key[-1]) for key in series)
        blocks.append(Charts({f"history_{metric}": _chart(metric, series, dates) for metric in metrics}))
    header = ("Network", "Where", "Figure", *dates, "Change")
    blocks.append(Table(header, [_row(figures) for figures in series.values()], 3))
    machines = sorted({figure.machine for baseline in ordered for figure in baseline.figures if figure.machine})
    if len(machines) > 1:
        blocks.append(Note(f"Not all on one machine ({'; '.join(machines)}): only counts compare between them."))
    return Section("From baseline to baseline", blocks)


def _chart(metric: str, series: _Series, dates: Sequence[str]) -> Drawing:
    """In percent of each case's first value, so that cases of any size share the axis."""
    lines = []
    for figures in (figures for key, figures in series.items() if key[-1] == metric):
        known = [(number, figure) for number, figure in enumerate(figures) if figure]
        first = known[0][1].value or 1.0
        points = [(float(number), 100 * figure.value / first) for number, figure in known]
        lines.append(Line(_case(known[0][1]), points, joined=points))
    return chart(
        METRICS[metric].meaning if metric in METRICS else metric,
        "baselines",
        f"{metric}, % of the first,",
        lines,
        False,
        dates,
    )


def _row(figures: Sequence[Figure | None]) -> list[str]:
    known = [figure for figure in figures if figure]
    first, last = known[0], known[-1]
    change = f"{100 * (last.value / first.value - 1):+.1f} %" if first.value and len(known) > 1 else "–"
    return [Path(first.bundle).name, _place(first), first.metric, *map(_shown, figures), change]


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    metric = METRICS.get(figure.metric)
    return metric.show(figure.value) if metric else f"{figure.value:g}"


def _case(figure: Figure) -> str:
    return f"{Path(figure.bundle).name}, {_place(figure)}"


def _place(figure: Figure) -> str:
    return f"{figure.engine} on {figure.target}, {figure.size}"
