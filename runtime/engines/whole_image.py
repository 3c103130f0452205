"""Engines that give whole images, as engines that hand out rows: pixels' type and layout, and one large strip."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from typing import Self

import numpy as np

from sparsr.runtime.engines.contract import STRIP_BYTES, ImageEngine, MaskCount
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import BundleCard, BundleFile
from sparsr.runtime.samples import FloatArray, Samples, from_values, to_values

_FLOAT_RGB = 12  # bytes
_FLOAT_OUTPUTS = 3  # the engine's result, its copy for us, and our 8-bit rounding of it
_FLOAT_INPUTS = 2
_BYTE_RGB = 3


class WholeImage:
    """An engine of an inference package behind the contract of `RowEngine`.

    load: an engine with so many threads of the model file `file`; each call gives another one.
    """

    columns = 1

    def __init__(self, load: Callable[[int], ImageEngine], threads: int, card: BundleCard, file: BundleFile) -> None:
        self._load, self._card, self._layout = load, card, file.layout
        self._engine = load(threads)
        self.name, self.version, self.threads = self._engine.name, self._engine.version, threads

    def run(self, image: FloatArray) -> FloatArray:
        """As the engine's own."""
        return self._engine.run(image)

    def memory(self, height: int, width: int) -> int:
        """Bytes for a picture of that size, and for its result in 8 bits."""
        outputs = (_FLOAT_OUTPUTS * _FLOAT_RGB + _BYTE_RGB) * self._card.scale**2
        pixel = self._engine.feature_bytes(self._card) + _FLOAT_INPUTS * _FLOAT_RGB + outputs
        return int(height * width * pixel)

    def rows(self, picture: Samples, strip_bytes: int = STRIP_BYTES) -> Generator[Samples, None, None]:
        """The whole result: it exists anyway, so that smaller strips would save nothing."""
        values = to_values(picture, self._card.value_range)
        if self._layout == "NCHW":
            values = np.ascontiguousarray(values.transpose(2, 0, 1))
        result = self._checked(self._infer(values[None]), picture)[0]
        pixels = result.transpose(1, 2, 0) if self._layout == "NCHW" else result
        yield from_values(pixels, self._card.value_range, picture.dtype)

    def follow(self, size: tuple[int, int] | None) -> None:
        """Nothing: inference packages offer no such choice."""

    def count_masks(self) -> dict[str, MaskCount]:
        """Refused: inference packages do not tell."""
        raise SparsrError("only the native engine counts what masks hold important", "pass --engine native")

    def share(self, threads: int) -> Self:
        """Another one, which holds the model a second time."""
        twin = copy.copy(self)
        twin._engine, twin.threads = self._load(threads), threads
        return twin

    def _infer(self, values: FloatArray) -> FloatArray:
        try:
            return self._engine.run(values)
        except Exception as error:  # every engine has its own exception types, without a common base
            pixels = values.size // 3
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SparsrError(
                f"the engine {self.name} failed on {pixels} pixels: {reason}",
                "allow less memory, so that tiles get smaller, or try another engine",
            ) from error

    def _checked(self, result: FloatArray, picture: Samples) -> FloatArray:
        """The engine's result, which must have the shape and the type it should have."""
        height, width = (self._card.scale * side for side in picture.shape[:2])
        expected = (1, 3, height, width) if self._layout == "NCHW" else (1, height, width, 3)
        if result.shape != expected or result.dtype != np.float32:
            raise SparsrError(
                f"the model gives {result.dtype} {result.shape} for {picture.shape[0] * picture.shape[1]} pixels, "
                f"not float32 {expected}",
                "export the bundle again",
            )
        return result
