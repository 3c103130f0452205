"""Whether the processor was as fast at the end as at the beginning, by the reference workload beside every inference.

The reference workload is fixed work: when it takes longer, the processor is throttled or shared, not the network slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparsr.bench.measure.results import Results

_FEWEST = 6  # rounds, below which nothing can be told
_SPREAD, _DRIFT = 0.10, 0.10
_BUSY = 1.25


@dataclass(frozen=True)
class Steadiness:
    """Of one run; fractions of the reference workload's median time."""

    spread: float
    """From the first decile to the ninth."""
    drift: float
    """By how much the last third of the rounds took longer than the first."""

    @property
    def verdict(self) -> str:
        """In a few words."""
        if abs(self.drift) > _DRIFT:
            return (
                f"{'slower' if self.drift > 0 else 'faster'} in the end by {abs(self.drift):.0%}: throttled or shared"
            )
        return "other work on it" if self.spread > _SPREAD else "steady"


def steadiness(results: Results) -> Steadiness | None:
    """How steady the machine was; None where no reference workload was timed, or too few rounds."""
    series = [row.reference_samples for row in results.rows if len(row.reference_samples) >= _FEWEST]
    if not series or any(min(samples) <= 0 for samples in series):
        return None
    # A worker's own median takes out where its memory happens to lie.
    relative = [np.asarray(samples) / np.median(samples) for samples in series]
    low, high = np.quantile(np.concatenate(relative), [0.1, 0.9])
    return Steadiness(float(high - low), _drift(relative))


def waiting(results: Results) -> float | None:
    """How many times its CPU time a run took, in the median row; None where that does not tell how busy the machine is.

    A single thread that has a processor for itself runs all the time; several wait for each other, and for a GPU.
    """
    rows = [row for row in results.rows if row.source == "measured" and row.target != "gpu" and row.cpu and row.wall]
    if results.settings.threads > 1 or not rows:
        return None
    return float(np.median([row.wall.median / row.cpu.median for row in rows if row.wall and row.cpu]))


def busy(results: Results) -> str | None:
    """A sentence for a machine that did much else during the measurement."""
    factor = waiting(results)
    if factor is None or factor < _BUSY:
        return None
    return f"the machine was busy: runs took {factor:.1f} times their CPU time, so wall times say little."


def _drift(relative: Sequence[np.ndarray]) -> float:
    thirds = [np.array_split(samples, 3) for samples in relative]
    first, last = (float(np.median(np.concatenate([third[which] for third in thirds]))) for which in (0, 2))
    return last / first - 1
