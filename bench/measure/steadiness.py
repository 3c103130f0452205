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


def _drift(relative: Sequence[np.ndarray]) -> float:
    thirds = [np.array_split(samples, 3) for samples in relative]
    first, last = (float(np.median(np.concatenate([third[which] for third in thirds]))) for which in (0, 2))
    return last / first - 1
