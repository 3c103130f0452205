"""Cutting a picture into windows that a network can run one by one within a memory limit.

A network that sees `r` pixels around every pixel gives, for a tile with `r` pixels of its surroundings, what it gives
for the whole picture: the same sums, which engines may only add up in another order. Where a tile touches the border
of the picture its window ends there too, so that the network pads with zeros at the same place; it is never
padded by us. All windows of a picture have the same size (those at the border reach further inwards), because
engines plan their memory anew for every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

APPROXIMATE_OVERLAP = 32
"""Surroundings, in input pixels, for networks with a layer that sees the whole picture."""

_EVERY = 64  # of more columns not every number is tried


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
    from_file: bool = False
    """Whether the results of the columns meet in a file, one after the other, in place of memory."""

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
class Need:
    """What the windows of a picture take in memory, in bytes."""

    window: Callable[[int, int], int]
    """Of a window of (height, width), its result's strips included."""
    row: int
    """Of a row of the picture in the strips that are put together where a row has several windows."""
    held_back: int
    """Of strips that are put together from a file."""

    def smallest(self, height: int, width: int, halo: int) -> int:
        """Bytes for the smallest window a picture can be cut into."""
        side = 1 + 2 * halo
        return self.window(min(height, side), min(width, side)) + self.row


def choose_tiling(height: int, width: int, halo: int, need: Need, budget: int) -> Tiling:
    """The tiling that takes at most `budget` bytes and computes the fewest pixels in total.

    Where a row has several windows their results meet in memory, or in a file if they are as tall as the picture and
    that takes too much. Raises ValueError if even the smallest window takes more.
    """
    best = min(_candidates(height, width, halo, need, budget), default=None)
    if best is None:
        raise ValueError(f"no window of a {width}x{height} picture fits into {budget} bytes")
    _, from_file, rows, columns = best
    return Tiling(spans(height, rows, halo), spans(width, columns, halo), from_file)


def fixed(height: int, width: int, halo: int, tile: int) -> Tiling:
    """Tiles of at most `tile` pixels a side, not counting their surroundings."""
    return Tiling(spans(height, math.ceil(height / tile), halo), spans(width, math.ceil(width / tile), halo))


def _candidates(height: int, width: int, halo: int, need: Need, budget: int) -> Iterator[tuple[int, bool, int, int]]:
    """(computed pixels, through a file, rows, columns) for some useful numbers of columns."""
    columns = 1
    while True:
        window_width = min(width, math.ceil(width / columns) + 2 * halo)
        tall = columns > 1 and need.window(height, window_width) + need.held_back <= budget
        if tall:
            yield columns * window_width * height, True, 1, columns
        rows = _row_count(height, window_width, halo, need, budget, columns)
        if rows:
            window_height = min(height, math.ceil(height / rows) + 2 * halo)
            yield rows * columns * window_width * window_height, False, rows, columns
        if rows == 1 or tall or columns == width:
            return  # more columns would only compute more surroundings
        columns = min(columns + 1 if columns < _EVERY else columns * 9 // 8, width)


def _row_count(height: int, window_width: int, halo: int, need: Need, budget: int, columns: int) -> int:
    """Fewest rows of windows of that width that fit; 0 if there is no such number."""

    def fits(rows: int) -> bool:
        tile = math.ceil(height / rows)
        assembled = need.row * tile if columns > 1 else 0
        return need.window(min(height, tile + 2 * halo), window_width) + assembled <= budget

    if fits(1):
        return 1
    if not fits(height):
        return 0
    few, many = 1, height  # too few, enough
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if fits(middle) else (middle, many)
    return many
