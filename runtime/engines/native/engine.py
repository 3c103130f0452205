"""libsparsr, this project's own engine, built on first use."""

from __future__ import annotations

import copy
import threading

import numpy as np

from sparsr.runtime.engines.native.load import HALF, Mask, NativeModel, PixelArray
from sparsr.runtime.engines.registry import ByteArray, FloatArray, Precision


class NativeEngine:
    """A program of the native engine."""

    name = "native"

    def __init__(self, model: bytes, threads: int, precision: Precision = "fp32") -> None:
        self.threads = threads
        self._model = NativeModel(model, HALF if precision == "fp16" else None, threads=threads)
        self.version = self._model.version
        self.columns = 2 * self._model.info.lanes  # a network with maps of half the size has an even number of vectors
        self.masks: dict[str, Mask] | None = None
        """Once it is a dictionary, runs add up in it what the masks of each layer held important."""
        self._adding = threading.Lock()  # to the masks

    def share(self, threads: int) -> NativeEngine:
        """Another engine with the same model and the same masks, which may run at the same time."""
        twin = copy.copy(self)
        twin.threads, twin._model = threads, self._model.share(threads)
        return twin

    def run(self, image: FloatArray) -> FloatArray:
        """[1, h, w, 3] -> [1, s*h, s*w, 3]."""
        result = np.empty((1, *self._model.output_shape(*image.shape[1:3])), np.float32)
        self._run(image[0], result[0])
        return result

    def run_bytes(self, image: ByteArray) -> ByteArray:
        """uint8 [h, w, 3] -> uint8 [s*h, s*w, 3]."""
        result = np.empty(self._model.output_shape(*image.shape[:2]), np.uint8)
        self._run(image, result)
        return result

    def _run(self, image: PixelArray, result: PixelArray) -> None:
        self._model.run(image, result)
        if self.masks is None:
            return
        with self._adding:
            for mask in self._model.masks():
                before = self.masks.get(mask.layer, Mask(mask.layer, 0, 0))
                important, pixels = before.important + mask.important, before.pixels + mask.pixels
                self.masks[mask.layer] = Mask(mask.layer, important, pixels)


load = NativeEngine
