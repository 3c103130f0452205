"""libsparsr, this project's own engine, built on first use."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Generator

import numpy as np

from sparsr.runtime.engines.contract import (
    STRIP_BYTES,
    STRIPS_ALIVE,
    FloatArray,
    MaskCount,
    Precision,
    strip_height,
)
from sparsr.runtime.engines.native.load import HALF, NativeModel
from sparsr.runtime.engines.native.rows import stream
from sparsr.runtime.samples import Samples, from_values, to_values


class NativeEngine:
    """A program of the native engine."""

    name = "native"

    def __init__(self, model: bytes, threads: int, precision: Precision = "fp32") -> None:
        self.threads = threads
        self._model = NativeModel(model, HALF if precision == "fp16" else None, threads=threads)
        self.version = self._model.version
        self.columns = 2 * self._model.info.lanes  # a network with maps of half the size has an even number of vectors
        self._followed: tuple[int, int] | None = None
        self._memory = functools.lru_cache(maxsize=512)(self._model.memory)
        self._masks: dict[str, MaskCount] | None = None
        self._adding = threading.Lock()  # to the masks

    def share(self, threads: int) -> NativeEngine:
        """Another engine with the same model and the same masks, which may run at the same time."""
        twin = copy.copy(self)
        twin.threads, twin._model, twin._followed = threads, self._model.share(threads), None
        twin._memory = functools.lru_cache(maxsize=512)(twin._model.memory)
        return twin

    def count_masks(self) -> dict[str, MaskCount]:
        """Add up from now on; empty as long as no masked block has run."""
        self._masks = {}
        return self._masks

    def memory(self, height: int, width: int) -> int:
        """What the engine's own plan for such a picture takes, and the strips."""
        rows, columns, channels = self._model.output_shape(height, width)
        row_bytes = columns * channels
        strips = STRIPS_ALIVE * strip_height(row_bytes, rows, STRIP_BYTES) * row_bytes
        return self._memory(height, width) + strips

    def follow(self, size: tuple[int, int] | None) -> None:
        """Choose kernels for windows as for the whole picture: values are the same bit for bit, but for Winograd's."""
        if self._followed == size:
            return
        self._model.set_plan(None)
        if size:
            self._model.follow(*size)
        self._followed = size

    def rows(self, picture: Samples, strip_bytes: int = STRIP_BYTES) -> Generator[Samples, None, None]:
        """[h, w, 3] -> strips [rows, s*w, 3] while the rest is computed; deeper samples go in and out as values."""
        value_range = self._model.info.value_range
        try:
            if picture.dtype == np.uint8:
                yield from stream(self._model, picture, strip_bytes)
            else:
                for strip in stream(self._model, to_values(picture, value_range), strip_bytes):
                    yield from_values(strip, value_range, picture.dtype)
        finally:  # a reader may leave with the last row it wants
            self._add_masks()

    def run(self, image: FloatArray) -> FloatArray:
        """[1, h, w, 3] -> [1, s*h, s*w, 3]."""
        result = np.empty((1, *self._model.output_shape(*image.shape[1:3])), np.float32)
        self._model.run(image[0], result[0])
        self._add_masks()
        return result

    def _add_masks(self) -> None:
        if self._masks is None:
            return
        with self._adding:
            for mask in self._model.masks():
                before = self._masks.get(mask.layer, MaskCount(mask.layer, 0, 0))
                important, pixels = before.important + mask.important, before.pixels + mask.pixels
                self._masks[mask.layer] = MaskCount(mask.layer, important, pixels)


load = NativeEngine
