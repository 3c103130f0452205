"""Statistics of repeated measurements: order statistics and ratios of paired samples. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Order statistics of one series of samples, in the samples' unit."""

    count: int
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    p90: float | None = None
    p95: float | None = None
    trimmed_mean: float | None = None
    """Mean without the lowest and the highest tenth."""


@dataclass(frozen=True)
class PairedRatio:
    """How many times larger one series is than another, sample by sample."""

    median: float
    low: float
    high: float
    """`low`..`high` contains the true median ratio with probability `confidence`."""
    confidence: float
    """What the interval reaches: at least 0.95 from 6 pairs on, less with fewer."""


def summarise(samples: Sequence[float]) -> Summary:
    """Minimum, quartiles and percentiles (linear interpolation), and trimmed mean. ValueError without samples."""
    if not len(samples):
        raise ValueError("no samples")
    low, lower, median, upper, p90, p95 = (float(q) for q in np.quantile(samples, [0, 0.25, 0.5, 0.75, 0.9, 0.95]))
    cut = len(samples) // 10
    trimmed = float(np.mean(sorted(samples)[cut : len(samples) - cut]))
    return Summary(len(samples), low, lower, median, upper, p90, p95, trimmed)


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """(low, high, confidence reached): the narrowest symmetric pair of order statistics around the median.

    Distribution-free: of n independent samples, the number below the true median is binomial(n, 1/2), so the k-th
    smallest and k-th largest enclose it with probability 1 - 2 P(count < k) (Hahn and Meeker, Statistical
    Intervals, section 5.2). Too few samples for `confidence` give their whole range and what it reaches.
    ValueError without samples.
    """
    count = len(samples)
    if not count:
        raise ValueError("no samples")
    ordered = sorted(samples)
    outside, best = 0.0, 0
    for k in range((count + 1) // 2):
        # outside = P(fewer than k + 1 samples lie below the true median)
        outside += math.comb(count, k) / 2**count
        if k and 1 - 2 * outside < confidence:
            break
        best, reached = k, 1 - 2 * outside
    return float(ordered[best]), float(ordered[count - 1 - best]), max(reached, 0.0)


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> PairedRatio:
    """Median and interval of numerator[i] / denominator[i].

    Pairs taken in the same round share what disturbed that round, so their ratio varies less than either series.
    ValueError for no pairs, different lengths, or a denominator that is not positive.
    """
    if len(numerator) != len(denominator):
        raise ValueError(f"{len(numerator)} samples cannot be paired with {len(denominator)}")
    if any(value <= 0 for value in denominator):
        raise ValueError("denominators must be positive")
    ratios = [above / below for above, below in zip(numerator, denominator, strict=True)]
    low, high, confidence = median_interval(ratios)
    return PairedRatio(summarise(ratios).median, low, high, confidence)
