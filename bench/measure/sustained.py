"""The sustained mode: one network run after run for minutes, until a warm device has throttled."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sparsr.bench.targets.contract import Session
from sparsr.runtime.progress import Progress

_STEP = 1.0  # seconds
_WINDOW = 60.0  # seconds whose runs are compared


@dataclass(frozen=True)
class Moment:
    """The runs of a second or so."""

    at: float
    """Seconds since the beginning, when they ended."""
    seconds: float
    """Median wall time of one."""
    thermal: Any = None
    """The device's own word on its temperature, if it has one."""


@dataclass(frozen=True)
class Slowdown:
    """The last minute against the first; where there are not two, the last third against the first."""

    first: float
    """Median seconds of a run."""
    last: float

    @property
    def factor(self) -> float:
        """Above 1: it became slower."""
        return self.last / self.first


def sustain(session: Session, seconds: float) -> tuple[Moment, ...]:
    """Run without a pause for so long. Raises `WorkerError` if the worker fails."""
    moments: list[Moment] = []
    begin = time.monotonic()
    with Progress("sustained", round(seconds), "seconds") as progress:
        now = 0.0
        while now < seconds:
            step, samples = now, []
            while now - step < _STEP and now < seconds:
                samples.append(session.run().wall)
                now = time.monotonic() - begin
            moments.append(Moment(now, statistics.median(samples)))
            progress.advance(round(now) - round(step))
    return tuple(moments)


def slowdown(moments: Sequence[Moment]) -> Slowdown | None:
    """How much slower it became; None for fewer than three moments."""
    if len(moments) < 3:
        return None
    window = min(_WINDOW, moments[-1].at / 3)
    first = [moment.seconds for moment in moments if moment.at <= window] or [moments[0].seconds]
    last = [moment.seconds for moment in moments if moment.at > moments[-1].at - window]
    return Slowdown(statistics.median(first), statistics.median(last))
