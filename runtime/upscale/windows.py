"""From the windows of a tiling to the strips of the whole result."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np

from sparsr.runtime.engines.contract import STRIP_BYTES, RowEngine, strip_height
from sparsr.runtime.samples import Samples
from sparsr.runtime.upscale.planes import Waiting
from sparsr.runtime.upscale.tiling import Span, Tiling

_COLOURS = 3


@dataclass(frozen=True, eq=False)
class Windows:
    """A picture, [h, w, 3 or 4], that an engine enlarges window by window."""

    engine: RowEngine
    scale: int
    image: Samples
    tiling: Tiling
    told: Callable[[], None]
    """Called for every window that is done."""
    strip_bytes: int = STRIP_BYTES

    def strips(self) -> Iterator[Samples]:
        """The result from top to bottom, [rows, s*w, channels] each."""
        tiling = self.tiling
        self.engine.follow(None if tiling.whole else (self.image.shape[0], self.image.shape[1]))
        if tiling.from_file:
            yield from self._through_file()
            return
        for rows in tiling.rows:
            if len(tiling.columns) == 1:
                yield from self._kept(rows, tiling.columns[0])
                self.told()
            else:
                yield self._band(rows)

    def _band(self, rows: Span) -> Samples:
        """The whole width of the result for some rows of the picture."""
        s = self.scale
        shape = s * (rows.keep_stop - rows.keep_start), s * self.image.shape[1], self.image.shape[2]
        band = np.empty(shape, self.image.dtype)
        for span in self.tiling.columns:
            row = 0
            for strip in self._kept(rows, span):
                band[row : row + len(strip), s * span.keep_start : s * span.keep_stop] = strip
                row += len(strip)
            self.told()
        return band

    def _through_file(self) -> Iterator[Samples]:
        """Columns as tall as the picture, one after the other; a file holds them until the last is there."""
        s, (height, width, channels) = self.scale, self.image.shape
        with contextlib.ExitStack() as files:
            columns = []
            for span in self.tiling.columns:
                waiting = files.enter_context(
                    Waiting(s * (span.keep_stop - span.keep_start), channels, self.image.dtype)
                )
                for strip in self._kept(self.tiling.rows[0], span):
                    waiting.write(strip)
                columns.append(waiting)
                self.told()
            rows = strip_height(s * width * channels * self.image.itemsize, s * height, STRIP_BYTES)
            for row in range(0, s * height, rows):
                count = min(rows, s * height - row)
                yield np.concatenate([waiting.read(row, count) for waiting in columns], axis=1)

    def _kept(self, rows: Span, columns: Span) -> Iterator[Samples]:
        """What is kept of the result for one window, with alpha if there is one, in strips."""
        window = self.image[rows.start : rows.stop, columns.start : columns.stop]
        colours = self._kept_colours(window[..., :_COLOURS], rows, columns)
        if window.shape[2] == _COLOURS:
            yield from colours
        elif self._opacity is not None:
            for strip in colours:
                yield np.dstack([strip, np.full(strip.shape[:2], self._opacity, self.image.dtype)])
        else:
            yield from self._with_alpha(colours, window[..., _COLOURS:], rows, columns)

    def _with_alpha(self, colours: Iterator[Samples], alpha: Samples, rows: Span, columns: Span) -> Iterator[Samples]:
        """An engine computes one picture at a time: the enlarged alpha, which is smaller, waits for the colours."""
        with Waiting(self.scale * (columns.keep_stop - columns.keep_start), 1, alpha.dtype) as waiting:
            for strip in self._kept_colours(alpha.repeat(_COLOURS, axis=2), rows, columns):
                waiting.write(strip[..., 1:2])
            row = 0
            for strip in colours:
                yield np.dstack([strip, waiting.read(row, len(strip))])
                row += len(strip)

    def _kept_colours(self, window: Samples, rows: Span, columns: Span) -> Iterator[Samples]:
        """What is kept of the network's result for one window: [h, w, 3] -> strips of [s*rows, s*columns, 3]."""
        return kept_rows(self.engine.rows(window, self.strip_bytes), kept(rows, self.scale), kept(columns, self.scale))

    @functools.cached_property
    def _opacity(self) -> np.generic | None:
        """The value of alpha if it is the same everywhere."""
        return self.image[0, 0, _COLOURS] if constant_alpha(self.image) else None


def kept_rows(strips: Generator[Samples, None, None], rows: slice, columns: slice) -> Iterator[Samples]:
    """Some rows and columns of a result that comes in strips; the work ends with the last of them."""
    row = 0
    with contextlib.closing(strips):
        for strip in strips:
            first, last = max(rows.start - row, 0), min(rows.stop - row, len(strip))
            if first < last:
                yield strip[first:last, columns]
            row += len(strip)
            if row >= rows.stop:
                return


def constant_alpha(image: Samples) -> bool:
    """Whether the picture has an alpha channel with one value everywhere."""
    return image.shape[2] == _COLOURS + 1 and bool(image[..., _COLOURS].min() == image[..., _COLOURS].max())


def kept(span: Span, scale: int) -> slice:
    """The part of a window's result that is kept along one axis."""
    return slice(scale * (span.keep_start - span.start), scale * (span.keep_stop - span.start))
