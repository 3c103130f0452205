"""Tilings: every pixel once, enough surroundings, windows inside the picture, all of one size, within the limit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.runtime.upscale.tiling import Need, choose_tiling, fixed, spans

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


def need(pixel_bytes, row_bytes=0, held_back=10**9):
    """Of an engine that gives whole images, on a picture whose rows take `row_bytes`."""
    return Need(lambda height, width: height * width * pixel_bytes, row_bytes, held_back)


@settings(deadline=None)
@given(LENGTHS, LENGTHS, HALOS, st.integers(1, 200), st.integers(0, 500), st.integers(0, 10**6), st.booleans())
def test_plan_stays_within_the_budget(height, width, halo, pixel_bytes, row_bytes, budget, files):
    needed = need(pixel_bytes, row_bytes, 1000 if files else 10**9)
    if budget < needed.smallest(height, width, halo):
        return
    tiling = choose_tiling(height, width, halo, needed, budget)
    rows, columns = tiling.window
    kept = tiling.rows[0].keep_stop - tiling.rows[0].keep_start
    together = 1000 if tiling.from_file else kept * row_bytes if len(tiling.columns) > 1 else 0
    assert rows * columns * pixel_bytes + together <= budget


def test_a_budget_for_nothing_is_refused():
    with pytest.raises(ValueError, match="no window"):
        choose_tiling(30, 30, 3, need(5), need(5).smallest(30, 30, 3) - 1)


@settings(deadline=None)
@given(LENGTHS, LENGTHS, HALOS)
def test_a_picture_that_fits_is_not_cut(height, width, halo):
    tiling = choose_tiling(height, width, halo, need(3, 10**6), height * 3 * width)
    assert tiling.whole
    assert tiling.window == (height, width)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(20, 300), st.integers(0, 9), st.integers(25, 300))
def test_an_engine_that_streams_gets_few_tall_columns(height, width, halo, budget):
    """Its memory is that of its lines: columns through a file, as wide as fits."""
    tiling = choose_tiling(height, width, halo, Need(lambda rows, columns: columns, 10**6, 1), budget)
    assert len(tiling.rows) == 1
    assert tiling.window[1] + (len(tiling.columns) > 1) <= max(budget, 0)
    wider = -(-width // max(1, len(tiling.columns) - 1)) + 2 * halo
    assert len(tiling.columns) == 1 or min(width, wider) + (len(tiling.columns) > 2) > budget


@pytest.mark.parametrize(("height", "width", "halo", "budget"), [(23, 31, 2, 150), (40, 17, 3, 260), (64, 64, 5, 400)])
def test_plan_computes_as_few_pixels_as_the_best_grid(height, width, halo, budget):
    def computed(rows, columns):
        tiling = fixed_grid(height, width, halo, rows, columns)
        window = tiling[0] * tiling[1]
        return rows * columns * window if window <= budget else float("inf")

    best = min(computed(rows, columns) for rows in range(1, height + 1) for columns in range(1, width + 1))
    tiling = choose_tiling(height, width, halo, need(1), budget)
    window = tiling.window[0] * tiling.window[1]
    assert len(tiling.rows) * len(tiling.columns) * window <= best


def fixed_grid(height, width, halo, rows, columns):
    return min(height, -(-height // rows) + 2 * halo), min(width, -(-width // columns) + 2 * halo)


def test_fixed_tiles():
    tiling = fixed(100, 65, 4, 32)
    assert [span.keep_stop - span.keep_start for span in tiling.columns] == [22, 22, 21]
    assert len(tiling.rows) == 4
    assert tiling.window == (25 + 8, 22 + 8)
