"""The table of ratios: every network that was compared with a dense one, at every place."""

from __future__ import annotations

from collections.abc import Sequence

from sparsr.bench.report.blocks import Table
from sparsr.bench.report.cases import Case, best
from sparsr.bench.report.figures import verdict
from sparsr.bench.report.units import times

EXPLAINED = (
    "Time with its confidence interval, round by round. Memory: what the engines add to their processes' peaks. File: "
    "of the same format. Work: multiply-adds whose weight is not zero. PSNR: against the dense network, same data set."
)


def table(found: Sequence[Case]) -> Table | None:
    """A line per pruned network, place and precision, in the fastest of SparSR's engines; None if none was compared."""
    compared = [case for case in best(found) if case.pruned and case.row.kind == "runtime" and case.row.opponent]
    header = ("Network", "Where", "Engine", "Against", "Time", "Memory", "File", "Work", "PSNR")
    rows = [_line(case) for case in sorted(compared, key=lambda case: (case.place, case.row.bundle, case.time))]
    return Table(header, rows, 4) if rows else None


def _line(case: Case) -> list[str]:
    assert case.row.opponent
    opponent = case.row.opponent
    value, word = verdict(opponent.ratio)
    interval = f"({opponent.ratio.low:.2f} – {opponent.ratio.high:.2f})"
    against = f"{opponent.engine} on {opponent.bundle}"
    return [case.row.bundle, case.place, case.row.engine, against, f"{value} {word} {interval}", *_others(case)]


def _others(case: Case) -> list[str]:
    """Memory, file, work, PSNR against the dense counterpart."""
    results, row = case.results, case.row
    other = results.opponent(row)
    memory = "–"
    if other and other.memory and row.memory and row.memory.peak > row.memory.baseline:
        share = (other.memory.peak - other.memory.baseline) / (row.memory.peak - row.memory.baseline)
        memory = _smaller(share)
    info = results.info(row.bundle)
    if not info.counterpart or info.counterpart == info.id:
        return [memory, "–", "–", "–"]
    dense = results.info(info.counterpart)
    same = [dense.files[name] / size for name, size in info.files.items() if name in dense.files and size]
    work = _smaller(dense.work / info.work) if info.work else "–"
    return [memory, _smaller(max(same)) if same else "–", work, _quality(info.quality, dense.quality)]


def _quality(own: dict[str, dict[str, float]], dense: dict[str, dict[str, float]]) -> str:
    common = next((name for name in own if name in dense), None)
    if common is None:
        return "–"
    return f"{own[common]['psnr_y'] - dense[common]['psnr_y']:+.2f} dB on {common}"


def _smaller(factor: float) -> str:
    return f"{times(factor)} less" if factor >= 1 else f"{times(1 / factor)} more"
