import numpy as np
import pytest
from scipy import stats

from sparsr.bench.budgets.noise import median_bootstrap, timing
from sparsr.bench.budgets.rates import rates
from sparsr.runtime.errors import SparsrError


def process_samples(processes=6, rounds=200, spread=0.05, seed=0):
    """Log-normal times around 1, with what rounds share."""
    rng = np.random.default_rng(seed)
    shared = rng.lognormal(0, 0.2, rounds)
    return shared * rng.lognormal(0, spread, (processes, rounds))


def test_the_value_is_the_median_of_the_ratios_of_rounds():
    case, twin = process_samples(2)
    found = timing(case, case, twin)
    assert found.value == pytest.approx(np.median(case / twin))
    assert found.low < found.value < found.high
    assert found.noise == 0


def test_what_a_process_differs_from_itself_by_is_no_slow_down():
    case, _, twin = process_samples(3)
    found = timing(1.2 * case, case, twin)
    assert found.noise > 0.15
    assert not found.exceeds(1.0)


def test_noise_is_the_same_whichever_process_is_first():
    case, again, twin = process_samples(3)
    assert timing(case, again, twin).noise == pytest.approx(timing(again, case, twin).noise, rel=0.05)


def test_the_interval_covers_the_true_median_about_as_often_as_it_says():
    """Of 200 series of 30 normal values, 99 % intervals miss the median 0 at most 8 times (binomial, p > 0.999)."""
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(200):
        low, high = median_bootstrap(rng.normal(size=30))
        missed += not low <= 0 <= high
    assert missed <= stats.binom.ppf(0.999, 200, 0.015)


def test_checks_of_quiet_samples_alarm_only_when_slower():
    found = {rate.slower: rate for rate in rates(process_samples(), 25, 150, (0.0, 0.3))}
    assert found[0.0].alarms <= 1
    assert found[0.3].alarms >= 149
    assert found[0.3].first >= found[0.3].alarms


def test_more_noise_hides_more():
    quiet, loud = (rates(process_samples(spread=spread), 25, 60, (0.1,))[0].alarms for spread in (0.02, 0.4))
    assert quiet > 55 and loud < 20


@pytest.mark.parametrize("shape", [(2, 100), (6, 10), (100,)])
def test_too_few_samples_are_refused(shape):
    with pytest.raises(SparsrError, match="too few"):
        rates(np.ones(shape), 25, 10)
