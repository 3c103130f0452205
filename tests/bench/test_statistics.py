import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsr.bench.measure.statistics import median_interval, paired_ratio, summarise

times = st.floats(1e-6, 1e3)
series = st.lists(times, min_size=1, max_size=60)


@given(series)
def test_summary_is_numpys_quantiles(samples):
    summary = summarise(samples)
    assert summary.count == len(samples)
    assert summary.minimum == min(samples)
    expected = np.percentile(samples, [25, 50, 75])
    assert [summary.lower_quartile, summary.median, summary.upper_quartile] == pytest.approx(expected)


@given(series, st.floats(0.5, 0.99))
def test_interval_is_of_samples_and_holds_the_median(samples, confidence):
    low, high, reached = median_interval(samples, confidence)
    assert low in samples and high in samples
    # One ulp: numpy's median of two middle values may be rounded.
    assert low <= np.nextafter(summarise(samples).median, math.inf)
    assert high >= np.nextafter(summarise(samples).median, -math.inf)
    assert reached >= confidence or (low, high) == (min(samples), max(samples))


def test_interval_ranks_are_those_of_the_published_table():
    # Order statistics of the 95 % interval for a median, as tabulated for the sign test
    # (Conover, Practical Nonparametric Statistics): n -> rank of the lower end.
    table = {6: 1, 8: 1, 9: 2, 10: 2, 12: 3, 15: 4, 20: 6, 25: 8, 30: 10}
    for count, rank in table.items():
        low, high, _ = median_interval(range(1, count + 1))
        assert (low, high) == (rank, count + 1 - rank), count


def test_interval_covers_as_often_as_it_says_by_enumeration():
    # Every pattern of "below or above the true median" is equally likely: count those the interval catches.
    count = 9
    low, high, reached = median_interval(range(1, count + 1))
    below = [sum(pattern) for pattern in itertools.product((0, 1), repeat=count)]
    covered = sum(low <= number < high for number in below) / len(below)
    assert covered == pytest.approx(reached)


@given(series, st.floats(0.01, 100))
def test_ratio_of_a_scaled_series_is_the_factor(samples, factor):
    ratio = paired_ratio([factor * sample for sample in samples], samples)
    assert [ratio.low, ratio.median, ratio.high] == pytest.approx([factor] * 3)


@given(st.lists(st.tuples(times, times), min_size=1, max_size=40))
def test_ratio_ignores_order_of_rounds_and_inverts(pairs):
    above, below = zip(*pairs, strict=True)
    ratio = paired_ratio(above, below)
    turned = paired_ratio(above[::-1], below[::-1])
    assert (ratio.low, ratio.median, ratio.high) == (turned.low, turned.median, turned.high)
    inverse = paired_ratio(below, above)
    assert (inverse.low, inverse.high) == pytest.approx((1 / ratio.high, 1 / ratio.low))


def test_pairing_cancels_what_a_round_shares():
    rng = np.random.default_rng(1)
    disturbance = rng.uniform(1, 5, 40)
    ratio = paired_ratio(3 * disturbance, 2 * disturbance)
    assert ratio.high - ratio.low < 1e-9


@pytest.mark.parametrize("numerator, denominator", [([], []), ([1.0], [1.0, 2.0]), ([1.0], [0.0]), ([1.0], [-1.0])])
def test_wrong_series_are_refused(numerator, denominator):
    with pytest.raises(ValueError):
        paired_ratio(numerator, denominator)


def test_no_samples_are_refused():
    with pytest.raises(ValueError):
        summarise([])
    with pytest.raises(ValueError):
        median_interval([])
