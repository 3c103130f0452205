"""Cutting a picture into windows that a network can run one by one within a memory limit.

A network that sees `r` pixels around every pixel gives, for a tile with `r` pixels of its surroundings, what it gives
for the whole picture: the same sums, which engines may only add up in another order. Where a tile touches the border
of the picture its window ends there too, so that the network pads with zeros at the same place; it is never
padded by us. All windows of a picture have the same size (those at the border reach further inwards), because
engines plan their memory anew for every size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

APPROXIMATE_OVERLAP = 32
"""Surroundings, in input pixels, for networks with a layer that sees the whole picture."""


@dataclass(frozen=True)
class Span:
    """One window along one axis: it reads start <= i < stop and is kept for keep_start <= i < keep_stop."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


@dataclass(frozen=True)
class Tiling:
    """The windows of a picture: every span of `rows` with every span of `columns`."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of every window."""
        return self.rows[0].stop - self.rows[0].start, self.columns[0].stop - self.columns[0].start

    @property
    def whole(self) -> bool:
        """Whether one window holds the whole picture."""
        return len(self.rows) == len(self.columns) == 1


def spans(length: int, count: int, halo: int) -> tuple[Span, ...]:
    """`length` pixels in at most `count` windows of one size, each with `halo` pixels of surroundings."""
    tile = math.ceil(length / count)
    window = min(length, tile + 2 * halo)

    def span(keep_start: int) -> Span:
        start = min(max(keep_start - halo, 0), length - window)
        return Span(start, start + window, keep_start, min(keep_start + tile, length))

    return tuple(span(keep_start) for keep_start in range(0, length, tile))


@dataclass(frozen=True)
class Cost:
    """What a window of h x w input pixels takes: h * w * `pixel_bytes` + h * `row_bytes`."""

    pixel_bytes: int
    row_bytes: int

    def smallest(self, height: int, width: int, halo: int) -> int:
        """Bytes for the smallest window a picture can be cut into."""
        rows, columns = min(height, 1 + 2 * halo), min(width, 1 + 2 * halo)
        return rows * (columns * self.pixel_bytes + self.row_bytes)

    def rows_within(self, budget: int, window_width: int) -> int:
        """Height of the largest window of that width."""
        return budget // (window_width * self.pixel_bytes + self.row_bytes)


@functools.lru_cache(maxsize=16)
def plan(height: int, width: int, halo: int, cost: Cost, budget: int) -> Tiling:
    """The tiling whose windows take at most `budget` bytes each and that computes the fewest pixels in total.

    Raises ValueError if even the smallest window takes more.
    """
    best = min(_candidates(height, width, halo, cost, budget), default=None)
    if best is None:
        raise ValueError(f"no window of a {width}x{height} picture fits into {budget} bytes")
    _, rows, columns = best
    return Tiling(spans(height, rows, halo), spans(width, columns, halo))


def fixed(height: int, width: int, halo: int, tile: int) -> Tiling:
    """Tiles of at most `tile` pixels a side, not counting their surroundings."""
    return Tiling(spans(height, math.ceil(height / tile), halo), spans(width, math.ceil(width / tile), halo))


def _candidates(height: int, width: int, halo: int, cost: Cost, budget: int) -> Iterator[tuple[int, int, int]]:
    """(computed pixels, rows, columns) for every useful number of columns."""
    for columns in range(1, width + 1):
        window_width = min(width, math.ceil(width / columns) + 2 * halo)
        rows = _row_count(height, halo, cost.rows_within(budget, window_width))
        if rows:
            window_height = min(height, math.ceil(height / rows) + 2 * halo)
            yield rows * columns * window_width * window_height, rows, columns
        if rows == 1:
            return  # more columns would only compute more surroundings


def _row_count(height: int, halo: int, window_height: int) -> int:
    """Fewest rows of windows of at most that height; 0 if there is no such number."""
    if window_height >= height:
        return 1
    tile = window_height - 2 * halo
    return math.ceil(height / tile) if tile > 0 else 0
