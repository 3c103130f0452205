"""A run of the native engine as strips to iterate over: it computes in a thread, a strip ahead of its reader."""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
from collections.abc import Generator, Iterator

import numpy as np

from sparsr.runtime.engines.contract import strip_height
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.samples import Samples


def stream(model: NativeModel, picture: Samples, strip_bytes: int) -> Generator[Samples, None, None]:
    """The result for [h, w, 3], in strips of about `strip_bytes`. Closing it ends the run.

    uint8, or float32 in the network's own range.

    What the run raises is raised here.
    """
    height, width, channels = model.output_shape(*picture.shape[:2])
    rows = strip_height(width * channels * picture.itemsize, height, strip_bytes)
    if rows == height:  # nothing would overlap
        result = np.empty((height, width, channels), picture.dtype)
        model.run(picture, result)
        yield result
        return
    run = _Run(model, picture, (height, width, channels), rows)
    thread = threading.Thread(target=run.work, daemon=True)
    thread.start()
    try:
        yield from run.strips()
    finally:
        run.stop()
        thread.join()


class _Run:
    """One run, seen by the thread that computes and by the one that takes the strips."""

    def __init__(self, model: NativeModel, picture: Samples, shape: tuple[int, int, int], rows: int) -> None:
        self._model, self._picture, self._shape, self._rows = model, picture, shape, rows
        self._row_bytes = shape[1] * shape[2] * picture.itemsize
        self._strip, self._filled = np.empty(0, picture.dtype), 0
        self._finished: queue.Queue[Samples | BaseException | None] = queue.Queue(maxsize=1)
        self._wanted, self._over = True, False

    def work(self) -> None:
        """Compute all rows, or until nobody wants them."""
        try:
            self._model.run_rows(self._picture, self._take)
        except BaseException as error:  # raised again by `strips`
            self._finished.put(error)
        else:
            self._finished.put(None)

    def _take(self, row: int, values: int) -> bool:
        """Copy a finished row out of the engine's memory."""
        height, width, channels = self._shape
        if not self._filled:
            self._strip = np.empty((min(self._rows, height - row), width, channels), self._picture.dtype)
            self._address = self._strip.ctypes.data
        ctypes.memmove(self._address + self._filled * self._row_bytes, values, self._row_bytes)
        self._filled += 1
        if self._filled == len(self._strip):
            self._finished.put(self._strip)
            self._strip, self._filled = np.empty(0, self._picture.dtype), 0
        return self._wanted

    def strips(self) -> Iterator[Samples]:
        """One after the other."""
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> Samples | None:
        item = self._finished.get()
        if item is None or isinstance(item, BaseException):
            self._over = True
        if isinstance(item, BaseException):
            raise item
        return item

    def stop(self) -> None:
        """Let a run that is still going on end at its next row."""
        self._wanted = False
        while not self._over:
            with contextlib.suppress(Exception):  # of a run that nobody wants
                self._next()
