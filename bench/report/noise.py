"""How noisy the machines were."""

from __future__ import annotations

from collections.abc import Sequence

from sparsr.bench.measure.results import Results, Row
from sparsr.bench.measure.steadiness import busy, steadiness
from sparsr.bench.report.blocks import Note, Section, Table
from sparsr.bench.report.cases import places

_EXPLAINED = (
    "Reference workload: fixed work, timed right after every inference. Spread: from its first decile to its ninth. "
    "Change: its last third of the rounds against the first. Middle half: half of a row's runs lie so close to their "
    "median; the largest of all rows."
)


def section(files: Sequence[Results]) -> Section:
    """A line per results file whose times were measured."""
    rows = [
        _line(place, results)
        for place, results in zip(places(files), files, strict=True)
        if any(row.source == "measured" and row.failure is None for row in results.rows)
    ]
    header = ("Machine", "Verdict", "Rounds", "Reference spread", "Reference change", "Middle half")
    busy_ones = [
        f"{place}: {told}" for place, results in zip(places(files), files, strict=True) if (told := busy(results))
    ]
    return Section("How noisy it was", [Table(header, rows, 2), *map(Note, busy_ones), Note(_EXPLAINED)])


def _line(place: str, results: Results) -> list[str]:
    found = steadiness(results)
    verdict, spread, drift = "not known", "–", "–"
    if found:
        verdict, spread, drift = found.verdict, f"{100 * found.spread:.1f} %", f"{100 * found.drift:+.1f} %"
    widest = max((_middle_half(results, row) for row in results.rows if row.failure is None), default=0.0)
    return [place, verdict, str(results.settings.rounds), spread, drift, f"±{50 * widest:.1f} %"]


def _middle_half(results: Results, row: Row) -> float:
    summary = row.cpu if results.settings.basis == "cpu" else row.wall
    assert summary
    return (summary.upper_quartile - summary.lower_quartile) / summary.median
