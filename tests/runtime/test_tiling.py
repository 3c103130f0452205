"""Tilings: every pixel once, enough surroundings, windows inside the picture, all of one size, within the limit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.runtime.upscale.tiling import Cost, fixed, plan, spans

LENGTHS = st.integers(1, 300)
HALOS = st.integers(0, 40)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 300), HALOS)
def test_spans_keep_every_pixel_once_with_its_surroundings(length, count, halo):
    result = spans(length, min(count, length), halo)
    assert [i for span in result for i in range(span.keep_start, span.keep_stop)] == list(range(length))
    assert len(result) <= count
    assert len({span.stop - span.start for span in result}) == 1
    for span in result:
        assert 0 <= span.start <= max(0, span.keep_start - halo)
        assert min(length, span.keep_stop + halo) <= span.stop <= length


@settings(deadline=None)
@given(LENGTHS, LENGTHS, HALOS, st.integers(1, 200), st.integers(0, 500), st.integers(0, 10**6))
def test_plan_stays_within_the_budget(height, width, halo, pixel_bytes, row_bytes, budget):
    cost = Cost(pixel_bytes, row_bytes)
    if budget < cost.smallest(height, width, halo):
        with pytest.raises(ValueError, match="no window"):
            plan(height, width, halo, cost, budget)
        return
    rows, columns = plan(height, width, halo, cost, budget).window
    assert rows * columns * pixel_bytes + rows * row_bytes <= budget


@settings(deadline=None)
@given(LENGTHS, LENGTHS, HALOS)
def test_a_picture_that_fits_is_not_cut(height, width, halo):
    tiling = plan(height, width, halo, Cost(3, 2), height * (3 * width + 2))
    assert tiling.whole
    assert tiling.window == (height, width)


@pytest.mark.parametrize(("height", "width", "halo", "budget"), [(23, 31, 2, 150), (40, 17, 3, 260), (64, 64, 5, 400)])
def test_plan_computes_as_few_pixels_as_the_best_grid(height, width, halo, budget):
    def computed(rows, columns):
        tiling = fixed_grid(height, width, halo, rows, columns)
        window = tiling[0] * tiling[1]
        return rows * columns * window if window <= budget else float("inf")

    best = min(computed(rows, columns) for rows in range(1, height + 1) for columns in range(1, width + 1))
    tiling = plan(height, width, halo, Cost(1, 0), budget)
    window = tiling.window[0] * tiling.window[1]
    assert len(tiling.rows) * len(tiling.columns) * window <= best


def fixed_grid(height, width, halo, rows, columns):
    return min(height, -(-height // rows) + 2 * halo), min(width, -(-width // columns) + 2 * halo)


def test_fixed_tiles():
    tiling = fixed(100, 65, 4, 32)
    assert [span.keep_stop - span.keep_start for span in tiling.columns] == [22, 22, 21]
    assert len(tiling.rows) == 4
    assert tiling.window == (25 + 8, 22 + 8)
