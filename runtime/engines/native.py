"""libsparsr, this project's own engine, built on first use."""

from __future__ import annotations

import numpy as np

from ..native.library import NativeModel
from . import ByteArray, FloatArray


class NativeEngine:
    """A program of the native engine."""

    name = "native"

    def __init__(self, model: bytes, threads: int) -> None:
        self.threads = threads
        self._model = NativeModel(model, threads=threads)
        self.version = self._model.version

    def run(self, image: FloatArray) -> FloatArray:
        """[1, h, w, 3] -> [1, s*h, s*w, 3]."""
        result = np.empty((1, *self._model.output_shape(*image.shape[1:3])), np.float32)
        self._model.run(image[0], result[0])
        return result

    def run_bytes(self, image: ByteArray) -> ByteArray:
        """uint8 [h, w, 3] -> uint8 [s*h, s*w, 3]."""
        result = np.empty(self._model.output_shape(*image.shape[:2]), np.uint8)
        self._model.run(image, result)
        return result


load = NativeEngine
