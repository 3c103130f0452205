"""How networks went on for minutes."""

from __future__ import annotations

from collections.abc import Sequence

from sparsr.bench.measure.results import Results
from sparsr.bench.measure.sustained import slowdown
from sparsr.bench.report.blocks import Charts, Note, Section, Table
from sparsr.bench.report.cases import places
from sparsr.bench.report.points import Line, chart
from sparsr.bench.report.units import milliseconds, times

_NOTE = "Run after run without a pause. Beginning and end: medians of a minute, of shorter runs a third."
_MOST_POINTS = 120


def section(files: Sequence[Results]) -> Section | None:
    """A line per place, and the end against the beginning; None if nothing was sustained."""
    ran = [(place, results) for place, results in zip(places(files), files, strict=True) if results.sustained]
    if not ran:
        return None
    lines, rows = [], []
    for place, results in ran:
        row = next((row for row in results.rows if row.failure is None), results.rows[0])
        step = -(-len(results.sustained) // _MOST_POINTS)
        points = [(moment.at, 1000 * moment.seconds) for moment in results.sustained[::step]]
        lines.append(Line(f"{row.bundle} in {row.engine}, {place}", points, joined=points))
        slower = slowdown(results.sustained)
        told = [milliseconds(slower.first), milliseconds(slower.last), times(slower.factor)] if slower else ["–"] * 3
        rows.append([row.bundle, row.engine, place, f"{results.sustained[-1].at:.0f} s", *told])
    drawing = chart("Sustained", "seconds", "milliseconds for one image", lines, logarithmic=False)
    header = ("Network", "Engine", "Where", "For", "Beginning", "End", "Slower")
    return Section("Sustained", [Charts({"sustained": drawing}), Table(header, rows, 3), Note(_NOTE)])
