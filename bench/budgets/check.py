"""Budgets against figures: a verdict each, and the exit code of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sparsr.bench.budgets.file import Entry
from sparsr.bench.budgets.metrics import METRICS
from sparsr.bench.budgets.observe import Observed, observe
from sparsr.bench.targets.names import open_target
from sparsr.runtime.errors import EXIT_BAD_INPUT, EXIT_CHECK_FAILED

Outcome = Literal["kept", "broken", "not measured", "elsewhere"]
"""`elsewhere`: the limit is for another device than this one."""


@dataclass(frozen=True)
class Verdict:
    """What became of one limit."""

    entry: Entry
    metric: str
    limit: float | None
    """None where there is none for this device."""
    observed: Observed
    outcome: Outcome
    repeated: bool = False
    """A time was above its limit and was measured again; the figure is the second one."""

    @property
    def text(self) -> str:
        """One line."""
        return f"{self.outcome:12} {self.entry.title}: {self.metric} {self._figure}{self._remark}"

    @property
    def _figure(self) -> str:
        metric = METRICS[self.metric]
        if self.observed.value is None or self.limit is None:
            return self.observed.missing
        sign = "at least" if metric.at_least else "at most"
        return f"{metric.show(self.observed.value)}, {sign} {metric.show(self.limit)} ({self.observed.source})"

    @property
    def _remark(self) -> str:
        timing = self.observed.timing
        if timing is None:
            return f"; hint: {self.observed.hint}" if self.observed.hint else ""
        show = METRICS[self.metric].show
        remark = f", {show(timing.low)} to {show(timing.high)}, noise {100 * timing.noise:.1f} %"
        if self.repeated:
            remark += ", measured twice" if self.outcome == "broken" else ", the second time"
        return remark


def check(entries: Sequence[Entry]) -> Iterator[Verdict]:
    """A verdict per limit, as they are known."""
    for entry in entries:
        limits = dict(entry.limits)
        if entry.budget.milliseconds:
            limits |= _here(entry)
        found = observe(entry, limits)
        first = [_judge(entry, name, limits[name], found[name]) for name in limits]
        doubtful = [v.metric for v in first if v.outcome == "broken" and METRICS[v.metric].kind == "timed"]
        again = observe(entry, doubtful) if doubtful else {}
        for verdict in first:
            if verdict.metric in again:
                name = verdict.metric
                yield _judge(entry, name, limits[name], again[name], repeated=True)
            else:
                yield verdict
        if entry.budget.milliseconds and "milliseconds" not in limits:
            yield _elsewhere(entry)


def _here(entry: Entry) -> dict[str, float]:
    """The limit in milliseconds for the device this is, if the budget has one."""
    name = _device(entry)
    return {"milliseconds": entry.budget.milliseconds[name]} if name in entry.budget.milliseconds else {}


def _device(entry: Entry) -> str:
    target = open_target(entry.budget.target)
    try:
        return target.probe().name
    finally:
        target.clean_up()


def _elsewhere(entry: Entry) -> Verdict:
    names = ", ".join(entry.budget.milliseconds)
    observed = Observed(None, "measured", f"is limited on {names}; this is {_device(entry)}")
    return Verdict(entry, "milliseconds", None, observed, "elsewhere")


def _judge(entry: Entry, name: str, limit: float, observed: Observed, repeated: bool = False) -> Verdict:
    return Verdict(entry, name, limit, observed, _outcome(name, limit, observed), repeated)


def _outcome(name: str, limit: float, observed: Observed) -> Outcome:
    if observed.value is None:
        return "not measured"
    if observed.timing:
        broken = observed.timing.exceeds(limit)
    else:
        broken = observed.value < limit if METRICS[name].at_least else observed.value > limit
    return "broken" if broken else "kept"


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """1 if a limit is broken; 2 if none was checked, or one could not be; else 0."""
    outcomes = [verdict.outcome for verdict in verdicts]
    if "broken" in outcomes:
        return EXIT_CHECK_FAILED
    return EXIT_BAD_INPUT if "not measured" in outcomes or "kept" not in outcomes else 0


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many of each."""
    counts: Mapping[str, int] = {
        name: sum(verdict.outcome == name for verdict in verdicts)
        for name in ("kept", "broken", "not measured", "elsewhere")
    }
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "no budget"
