"""Who computes what: Eq. 8 patch by patch where no surroundings are needed, the best windows where they are."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.runtime.upscale.adaptive.layout import FLAT, Price, Window, gains, lay_out, published_gains
from sparsr.runtime.upscale.tiling import Span

COSTS = (40.0, 10.0, 2.5, 0.01)


def whole(height, width):
    return Span(0, height, 0, height), Span(0, width, 0, width)


def prices(costs, halos, **more):
    return [Price(cost, halo, **more) for cost, halo in zip(costs, halos, strict=True)]


def random_errors(rows, columns, seed, count=4):
    return np.random.default_rng(seed).uniform(1, 100, (count, rows, columns))


def assigned(windows, rows, columns):
    """The candidate of every patch; each must be covered once."""
    choice = np.full((rows, columns), -1)
    for window in windows:
        part = choice[window.row : window.row_stop, window.column : window.column_stop]
        assert part.size and (part == -1).all()
        part[...] = window.candidate
    assert (choice >= 0).all()
    return choice


def equation_8(errors, costs, beta):
    """The paper's rule, word for word, for one patch of its own beta."""
    n = len(costs) - 1
    if errors[n] <= FLAT:
        return n
    values = [beta * (costs[0] - costs[i]) / costs[0] + (errors[n] - errors[i]) / errors[n] for i in range(n + 1)]
    return int(np.argmax(values))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 6), st.floats(0.01, 3), st.integers(0, 1000))
def test_the_published_rule_has_one_beta_for_every_patch(rows, columns, beta, seed):
    errors = random_errors(rows, columns, seed)
    errors[:, 0, 0] = 1e-9
    free = [Price(cost, 0) for cost in COSTS]
    choice = assigned(lay_out(published_gains(errors), free, whole(16 * rows, 16 * columns), 16, beta), rows, columns)
    for row, column in np.ndindex(rows, columns):
        assert choice[row, column] == equation_8(errors[:, row, column], COSTS, beta)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 6), st.floats(0.01, 3), st.integers(0, 1000))
def test_without_surroundings_it_is_equation_8_patch_by_patch(rows, columns, beta, seed):
    errors = random_errors(rows, columns, seed)
    errors[:, 0, 0] = 1e-9
    windows = lay_out(gains(errors), prices(COSTS, [0] * 4), whole(16 * rows, 16 * columns), 16, beta)
    choice = assigned(windows, rows, columns)
    for row, column in np.ndindex(rows, columns):
        own_beta = beta * errors[-1].mean() / errors[-1, row, column]
        assert choice[row, column] == equation_8(errors[:, row, column], COSTS, own_beta)


def test_beta_zero_takes_the_least_error_and_a_huge_beta_the_cheapest():
    errors = random_errors(4, 4, 1)
    block = whole(64, 64)
    assert (assigned(lay_out(gains(errors), prices(COSTS, [20] * 4), block, 16, 0.0), 4, 4) == errors.argmin(0)).all()
    assert (assigned(lay_out(gains(errors), prices(COSTS, [20] * 4), block, 16, 1e6), 4, 4) == 3).all()


def test_flat_patches_take_the_cheapest():
    flat = np.array([0.0, 0.01, 0.02, 0.05])[:, None, None] * np.ones((1, 2, 2))
    assert not gains(flat).any()
    for beta in (1e-6, 0.5):
        assert (assigned(lay_out(gains(flat), prices(COSTS, [0] * 4), whole(32, 32), 16, beta), 2, 2) == 3).all()
    assert np.isfinite(gains(np.zeros((4, 1, 1)))).all()


def objective(windows, errors, prices, size, patch, beta):
    """The sum of Eq. 8 less the part that is the same for all layouts."""
    gain, total = gains(errors), 0.0
    for w in windows:
        for row in range(w.row, w.row_stop):
            for column in range(w.column, w.column_stop):
                height = min(patch, size[0] - row * patch)
                width = min(patch, size[1] - column * patch)
                total += gain[w.candidate, row, column] * height * width / patch**2
        price = prices[w.candidate]
        height = min(w.row_stop * patch + price.halo, size[0]) - max(w.row * patch - price.halo, 0)
        width = min(w.column_stop * patch + price.halo, size[1]) - max(w.column * patch - price.halo, 0)
        width = math.ceil(max(width, price.least) / price.columns) * price.columns
        total -= beta * price.pixel / prices[0].pixel * max(height, price.least) * width / patch**2
    return total


@pytest.mark.parametrize(("least", "columns"), [(1, 1), (20, 1), (1, 24), (40, 7)])
@pytest.mark.parametrize("seed", range(3))
def test_no_guillotine_partition_is_better(seed, least, columns):
    patch, size, beta = 16, (45, 48), 0.4
    errors, priced = random_errors(3, 3, seed, 3), prices(COSTS[1:], [9, 5, 2], least=least, columns=columns)

    @cache
    def best(row, row_stop, column, column_stop):
        options = [(Window(i, row, row_stop, column, column_stop),) for i in range(3)]
        options += [best(row, s, column, column_stop) + best(s, row_stop, column, column_stop)
                    for s in range(row + 1, row_stop)]  # fmt: skip
        options += [best(row, row_stop, column, s) + best(row, row_stop, s, column_stop)
                    for s in range(column + 1, column_stop)]  # fmt: skip
        return max(options, key=lambda windows: objective(windows, errors, priced, size, patch, beta))

    windows = lay_out(gains(errors), priced, whole(*size), patch, beta)
    assigned(windows, 3, 3)
    found = objective(windows, errors, priced, size, patch, beta)
    assert found == pytest.approx(objective(best(0, 3, 0, 3), errors, priced, size, patch, beta))


def test_neighbours_of_one_choice_become_one_window():
    errors = np.ones((2, 6, 7)) * np.array([10.0, 100.0])[:, None, None]
    (window,) = lay_out(gains(errors), prices([1.0, 0.0], [8, 2]), whole(96, 112), 16, 0.1)
    assert (window.candidate, window.row_stop, window.column_stop) == (0, 6, 7)


def test_a_dearer_neighbour_takes_a_patch_that_costs_it_nothing_more():
    """A cheap patch in the middle of dear ones lies inside their surroundings anyway."""
    errors = np.ones((2, 3, 3)) * np.array([10.0, 100.0])[:, None, None]
    errors[0, 1, 1] = 99.0
    alone = lay_out(gains(errors), prices([1.0, 0.0], [0, 0]), whole(48, 48), 16, 0.5)
    assert (assigned(alone, 3, 3) == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]).all()
    (window,) = lay_out(gains(errors), prices([1.0, 0.0], [16, 0]), whole(48, 48), 16, 0.5)
    assert window.candidate == 0


def test_surroundings_reach_beyond_the_block():
    """A block in the middle of a picture pays for surroundings on all sides, the whole picture for none."""
    errors = np.array([50.0, 100.0])[:, None, None] * np.ones((1, 1, 1))
    inside = Span(0, 300, 100, 116), Span(0, 300, 100, 116)
    (window,) = lay_out(gains(errors), prices([1.0, 0.0], [8, 0]), inside, 16, 0.3)
    assert window.candidate == 1  # (16 + 2 * 8)^2 pixels: 4 * 0.3 > 0.5
    (window,) = lay_out(gains(errors), prices([1.0, 0.0], [8, 0]), whole(16, 16), 16, 0.3)
    assert window.candidate == 0


def test_a_price_per_window_makes_fewer_windows():
    errors = random_errors(4, 5, 7)
    block = whole(64, 80)
    counts = []
    for window in (0.0, 3e3, 1e5):
        priced = [Price(cost, 2, cost * window) for cost in COSTS]
        counts.append(len(lay_out(gains(errors), priced, block, 16, 0.3)))
    assert counts[0] > counts[1] > counts[2] == 1
