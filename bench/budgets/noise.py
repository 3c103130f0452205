"""When a time is more than its limit, and not only noise.

Every time check measures the case in two processes, A and A', interleaved with what it is compared with. What A and A'
differ by is noise, by construction: no slow-down can be told that is smaller. So a time breaks its limit when it
exceeds it by more than that, and, because even then chance remains, when it does so again in fresh processes.
`docs/results/gates.md` tells how often this is wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.99
_RESAMPLES = 999


@dataclass(frozen=True)
class Timing:
    """A ratio of times, with how far it can be trusted."""

    value: float
    """Median over the rounds."""
    low: float
    """Bootstrap interval of the median."""
    high: float
    noise: float
    """The largest relative difference that two processes doing the same had by chance."""

    def exceeds(self, limit: float) -> bool:
        """Whether it is above the limit by more than noise."""
        return self.value > limit * (1 + self.noise)


def timing(case: Sequence[float], again: Sequence[float], beside: Sequence[float]) -> Timing:
    """The case's time in units of what was measured beside it, round by round; both processes of the case count alike.

    All three have a sample per round, in the same unit, all above 0.
    """
    first, second, other = (np.asarray(samples, np.float64) for samples in (case, again, beside))
    ratios = np.sqrt(first * second) / other
    low, high = median_bootstrap(ratios)
    least, most = median_bootstrap(first / second)
    return Timing(float(np.median(ratios)), low, high, max(most - 1, 1 / least - 1, 0.0))


def median_bootstrap(samples: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Percentile bootstrap interval of the median at `CONFIDENCE`, with a fixed seed."""
    from scipy import stats  # a second to import, for one command of many

    values = np.asarray(samples, np.float64)
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (values,),
            np.median,
            n_resamples=_RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    return float(found.low), float(found.high)
