"""Self-ensemble: the mean of what an upscaler makes of a picture's eight symmetries (EDSR, Lim et al., 2017, 3.4)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.memory import format_bytes
from sparsr.runtime.samples import WHITE, Samples, converted, from_values
from sparsr.runtime.upscale.upscaler import OnTile, PictureUpscaler

_FLIPS = ((), (0,), (1,), (0, 1))
_PASSES = 2 * len(_FLIPS)
_SUM_BYTES = 4


class EnsembleUpscaler(PictureUpscaler):
    """Eight passes of another upscaler: a little more quality for eight times the time.

    The results are averaged in float32 and rounded once; they and the picture are whole in memory.
    """

    def __init__(self, single: PictureUpscaler) -> None:
        self.single = single
        self.scale, self.max_memory, self.held = single.scale, single.max_memory, single.held
        self.engine, self.order = single.engine, single.order
        single.order = "rgb"  # colours are exchanged once, here

    @property
    def minimum_size(self) -> int:
        """That of the other upscaler."""
        return self.single.minimum_size

    @property
    def exact(self) -> bool:
        """As in the other upscaler."""
        return self.single.exact

    def _copy(self, threads: int) -> Self:
        twin = copy.copy(self)
        twin.single = self.single._copy(threads)
        twin.engine = twin.single.engine
        return twin

    def _picture_bytes(self, height: int, width: int) -> int:
        return self.single._picture_bytes(height, width) + self._held_bytes(height, width, 3)

    def _held_bytes(self, height: int, width: int, channels: int) -> int:
        """The picture as float32, the sum, and the result of a pass."""
        return height * width * channels * _SUM_BYTES * (1 + 2 * self.scale**2)

    def _start(self, image: Samples, reserve: int, on_tile: OnTile, strip_bytes: int) -> Iterator[Samples]:
        needed = self._held_bytes(*image.shape)
        free = self.max_memory - self.held - reserve - image.nbytes
        if needed > free:
            raise SparsrError(
                f"{format_bytes(self.max_memory)} of memory are too few for a self-ensemble of {image.shape[1]}x"
                f"{image.shape[0]} pixels",
                f"allow at least {format_bytes(self.max_memory - free + needed)}, or leave out --ensemble",
            )
        return self._mean(image, reserve + needed, on_tile)

    def _mean(self, image: Samples, reserve: int, on_tile: OnTile) -> Iterator[Samples]:
        picture = converted(image, np.dtype(np.float32))
        height, width, channels = (image.shape[0] * self.scale, image.shape[1] * self.scale, image.shape[2])
        total = np.zeros((height, width, channels), np.float32)
        for number, (transposed, flips) in enumerate((t, f) for t in (False, True) for f in _FLIPS):
            place = _turned(total, transposed, flips)
            row = 0
            turned = np.ascontiguousarray(_turned(picture, transposed, flips))
            for strip in self.single.strips(turned, reserve=reserve, on_tile=_share(on_tile, number)):
                place[row : row + len(strip)] += strip
                row += len(strip)
        total /= _PASSES
        yield from_values(total, 1.0, image.dtype) if WHITE[image.dtype] > 1 else total


def _turned(image: Samples, transposed: bool, flips: tuple[int, ...]) -> Samples:
    """A view: a transposed picture that is then flipped. Writing through it turns back."""
    return np.flip(image.transpose(1, 0, 2) if transposed else image, flips)


def _share(on_tile: OnTile, number: int) -> Callable[[int, int], None]:
    """Progress of one of the passes as that of all."""
    return lambda done, total: on_tile(number * total + done, _PASSES * total)
