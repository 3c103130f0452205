"""The results as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from sparsr.bench.measure.results import Results, Row, Settings
from sparsr.bench.measure.statistics import Summary
from sparsr.bench.measure.steadiness import busy, steadiness
from sparsr.bench.measure.sustained import slowdown
from sparsr.bench.report.units import MIB, milliseconds


def render(results: Results) -> str:
    """Bundles in order, each with its rows from the fastest to the slowest, failures last; then how to read it."""
    settings = results.settings
    header = ("bundle", "engine", "CPU min", "wall median", "quartiles", "peak memory", "off by", "against dense")
    lines: list[tuple[str, ...]] = [header]
    for info in results.bundles:
        rows = [row for row in results.rows if row.bundle == info.id]
        measured = sorted((row for row in rows if row.failure is None), key=results.time)
        lines += [_cells(row) for row in measured]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    text += _counted(results) + _stored(results) + _failures(results)
    return "\n".join([describe(settings), "", *text, "", *_legend(results)])


def _failures(results: Results) -> list[str]:
    """A line for every reason why an engine was not measured, which most often holds for all bundles."""
    failed: dict[tuple[str, str, str | None], list[str]] = {}
    for row in results.rows:
        if row.failure is not None:
            failed.setdefault((row.engine, row.failure, row.hint), []).append(row.bundle)
    lines = []
    for (engine, failure, hint), bundles in failed.items():
        every = len(bundles) == len(results.bundles) > 1
        who = "every bundle" if every else ", ".join(bundles)
        lines.append(f"{who} in {engine}: {failure}" + (f" ({hint})" if hint else ""))
    return lines


def describe(settings: Settings) -> str:
    """One line on what was done."""
    threads = f"{settings.threads} thread{'s' if settings.threads > 1 else ''}"
    pinned = f", pinned to CPU {', '.join(map(str, settings.cpus))}" if settings.cpus else ""
    hidden = ", AVX-512 hidden" if settings.hidden else ""
    size = f"{settings.width}x{settings.height}"
    return f"input {size}, float32, {threads}{pinned}{hidden}, {settings.rounds} interleaved rounds"


def _cells(row: Row) -> tuple[str, ...]:
    assert row.cpu and row.wall and row.difference
    ratio = row.opponent.ratio if row.opponent else None
    memory = row.memory
    return (
        row.bundle,
        row.engine,
        *(_times(row.cpu, row.wall) if row.source == "measured" else ("-", "-", "-")),
        f"{memory.peak / MIB:.0f} MiB (+{(memory.peak - memory.baseline) / MIB:.0f})" if memory else "-",
        _off_by(row),
        f"{ratio.median:.2f}x ({ratio.low:.2f}..{ratio.high:.2f})" if ratio else "-",
    )


def _times(cpu: Summary, wall: Summary) -> tuple[str, str, str]:
    quartiles = f"{wall.lower_quartile * 1000:.4g}..{wall.upper_quartile * 1000:.4g}"
    return milliseconds(cpu.minimum), milliseconds(wall.median), quartiles


def _counted(results: Results) -> list[str]:
    """A line for every row that was counted and not timed."""
    lines = []
    for row in results.rows:
        if row.source != "measured" and row.counters:
            counts = {"multiply-adds": row.counters.multiply_adds, "instructions": row.counters.instructions}
            told = [f"{value:,} {name}" for name, value in counts.items() if value is not None]
            told += [f"{row.counters.heap:,} bytes of heap"] if row.counters.heap else []
            lines.append(f"{row.bundle} in {row.engine}: {', '.join(told)} ({row.source})")
    return lines


def _stored(results: Results) -> list[str]:
    """A line for every row that was held against the result its bundle stores."""
    return [
        f"{row.bundle} in {row.engine}: the bundle's stored result {'passed' if row.as_stored else 'FAILED'}, "
        f"off by {row.stored.max_8bit}"
        for row in results.rows
        if row.stored
    ]


def _off_by(row: Row) -> str:
    assert row.difference
    if row.precision != "float32":
        return f"{row.difference.max_8bit} {row.precision}"
    return f"{row.difference.max_8bit}" + ("" if row.correct else " WRONG")


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    figures = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(names + figures)


def _condition(state: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in state.items()) or "nothing known"


def _legend(results: Results) -> list[str]:
    lines = [
        "quartiles: of the wall time, in ms. peak memory: of the process (+ what the engine added to Python).",
        "off by: 8-bit levels from the output most engines agree with; more than 1 is WRONG and never an opponent.",
    ]
    if slower := slowdown(results.sustained):
        lines.append(
            f"sustained for {results.sustained[-1].at:.0f} s: {milliseconds(slower.first)} in the beginning, "
            f"{milliseconds(slower.last)} in the end ({slower.factor:.2f}x)."
        )
    if results.device.before:
        before, after = (_condition(state) for state in (results.device.before, results.device.after))
        lines.append(f"the device: {before} before, {after} after.")
    if steady := steadiness(results):
        lines.append(f"the processor, by a reference workload after every inference: {steady.verdict}.")
    if told := busy(results):
        lines.append(told)
    opponents = {(row.opponent.bundle, row.opponent.engine): row.opponent for row in results.rows if row.opponent}
    for bundle, engine in opponents:
        basis = "CPU time" if results.settings.basis == "cpu" else "wall time"
        ratio = next(opponent.ratio for opponent in opponents.values())
        lines.append(
            f"against dense: {basis} of {bundle} in {engine}, the fastest there, divided by the row's, round by round; "
            f"median and its {ratio.confidence:.0%} interval. Above 1 is faster."
        )
    if not opponents:
        lines.append("against dense: no dense counterpart among the bundles; add one, or name it with --baseline.")
    return lines
