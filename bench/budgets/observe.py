"""The figures of a budget, as they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sparsr.bench.budgets.file import Entry
from sparsr.bench.budgets.metrics import METRICS
from sparsr.bench.budgets.noise import Timing, timing
from sparsr.bench.budgets.quality import mean_psnr
from sparsr.bench.measure.engines import ENGINES
from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.measure.results import Results, Row
from sparsr.bench.targets.contract import Source
from sparsr.bench.targets.names import open_target
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle

_CASE, _AGAIN, _TWIN = "case", "again", "twin"


@dataclass(frozen=True)
class Observed:
    """A figure, or why there is none."""

    value: float | None
    source: Source
    missing: str = ""
    hint: str = ""
    timing: Timing | None = None
    machine: str = ""
    """What it was measured on; empty for what does not depend on it."""


def observe(entry: Entry, metrics: Iterable[str]) -> dict[str, Observed]:
    """The wanted figures. What cannot be had says why; the others are there all the same."""
    wanted = list(metrics)
    source = open_target(entry.budget.target).source
    found: dict[str, Observed] = {}
    try:
        bundle = Bundle.open(entry.path(entry.budget.bundle))
    except SparsrError as error:
        return {name: Observed(None, source, str(error), error.hint) for name in wanted}
    running = [name for name in wanted if METRICS[name].kind in ("counted", "timed")]
    results = _run(entry, bundle, running)
    for name in wanted:
        try:
            found[name] = _one(entry, bundle, results, name)
        except SparsrError as error:
            found[name] = Observed(None, source, str(error), error.hint)
    return found


def _one(entry: Entry, bundle: Bundle, results: Results | SparsrError, name: str) -> Observed:
    if METRICS[name].kind == "card":
        return Observed(_OF_CARD[name](entry, bundle), "model")
    if METRICS[name].kind == "quality":
        assert entry.budget.low and entry.budget.high
        low, high = entry.path(entry.budget.low), entry.path(entry.budget.high)
        return Observed(mean_psnr(bundle, entry.budget.engine, low, high), "measured")
    if isinstance(results, SparsrError):
        raise results
    rows = {row.bundle: row for row in results.rows}
    failed = [row for row in rows.values() if row.failure]
    if failed:
        which = "" if failed[0].bundle == _CASE else f"{failed[0].bundle}: "
        raise SparsrError(f"{which}{failed[0].failure}", failed[0].hint or "")
    machine = results.machine.name or results.machine.cpu
    if METRICS[name].kind == "counted":
        value = _COUNTED[name](rows[_CASE])
        if value is None:
            raise SparsrError(f"{entry.budget.target} does not count {name} of {entry.budget.engine}", _COUNT_HINT)
        return Observed(float(value), rows[_CASE].source, machine=machine)
    if rows[_CASE].source != "measured":
        raise SparsrError(f"{name} means nothing on {results.machine.name}, whose times are {rows[_CASE].source}")
    timed = _TIMED[name](rows, results)
    return Observed(timed.value, rows[_CASE].source, timing=timed, machine=machine)


_COUNT_HINT = "instructions, heap and multiply-adds of any run are counted on emu:cortex-a76"
_OF_CARD: dict[str, Callable[[Entry, Bundle], float]] = {
    "file_size": lambda entry, bundle: bundle.file(ENGINES[entry.budget.engine].format).bytes,
    "multiply_adds": lambda entry, bundle: 1e9 * bundle.card.gmacs_720p * bundle.card.nonzero,
}
_COUNTED: dict[str, Callable[[Row], int | None]] = {
    "executed_multiply_adds": lambda row: row.counters.multiply_adds if row.counters else None,
    "instructions": lambda row: row.counters.instructions if row.counters else None,
    "heap": lambda row: row.counters.heap if row.counters else None,
    "peak_memory": lambda row: row.memory.peak - row.memory.baseline if row.memory else None,
}


def _samples(row: Row, results: Results) -> tuple[float, ...]:
    return row.cpu_samples if results.settings.basis == "cpu" else row.wall_samples


def _to_twin(rows: dict[str, Row], results: Results) -> Timing:
    return timing(*(_samples(rows[name], results) for name in (_CASE, _AGAIN, _TWIN)))


def _to_reference(rows: dict[str, Row], results: Results) -> Timing:
    """Each process in units of its own reference workload; the two are compared so too."""
    case, again = (
        [time / beside for time, beside in zip(_samples(row, results), row.reference_samples, strict=True)]
        for row in (rows[_CASE], rows[_AGAIN])
    )
    return timing(case, again, [1.0] * len(case))


def _milliseconds(rows: dict[str, Row], results: Results) -> Timing:
    """Wall time: what a user waits."""
    case, again = ([1000 * value for value in rows[name].wall_samples] for name in (_CASE, _AGAIN))
    return timing(case, again, [1.0] * len(case))


_TIMED: dict[str, Callable[[dict[str, Row], Results], Timing]] = {
    "time_to_twin": _to_twin,
    "time_to_reference": _to_reference,
    "milliseconds": _milliseconds,
}


def _run(entry: Entry, bundle: Bundle, metrics: list[str]) -> Results | SparsrError:
    """The run all counted and timed figures are taken from; the error that prevented it."""
    if not metrics:
        return SparsrError("nothing was to be run")
    budget = entry.budget
    timed = [name for name in metrics if METRICS[name].kind == "timed"]
    try:
        subjects = [Subject(_CASE, bundle)]
        if timed:
            subjects.append(Subject(_AGAIN, bundle))
        if "time_to_twin" in timed:
            assert budget.twin
            subjects.append(Subject(_TWIN, Bundle.open(entry.path(budget.twin))))
        return measure(
            Plan(
                tuple(subjects),
                (budget.engine,),
                budget.width,
                budget.height,
                budget.threads,
                budget.rounds if timed else 1,
                target=open_target(budget.target),
            )
        )
    except SparsrError as error:
        return error
