"""Upscaling pictures with a bundle: arrays in and out, in tiles if memory asks for it."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self, get_args

import numpy as np

from sparsr.runtime.arguments import as_whole_number, check_word
from sparsr.runtime.engines.contract import PRECISIONS, STRIP_BYTES, STRIPS_ALIVE, MaskCount, Precision, RowEngine
from sparsr.runtime.engines.registry import default_engine, engine_kind, open_engine
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.memory import format_bytes, resident_bytes
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.general import GENERAL
from sparsr.runtime.samples import WHITE, Samples
from sparsr.runtime.upscale.tiling import APPROXIMATE_OVERLAP, Need, Span, Tiling, choose_tiling, fixed
from sparsr.runtime.upscale.windows import Windows, kept, kept_rows

DEFAULT_MAX_MEMORY = 2**30
OVERHEAD = 12 * 2**20  # what decoders, encoders and libraries take whatever the picture's size: docs/results/memory.md
_COLOURS = 3
_BYTE_PIXEL = 4  # bytes of a pixel at most whose samples have 8 bits; others are turned into values before an engine
_VALUE_BYTES = 4 * _COLOURS  # of a pixel of those
_WASTEFUL = 9  # times that tiles compute a pixel, from which on it is said
_BEYOND = 1.0  # that values of 0..1 may lie outside: filters that sharpen overshoot
_BANDS_ALIVE = 2  # the one being filled and the one its reader still holds
Order = Literal["rgb", "bgr"]
OnTile = Callable[[int, int], None]
"""Called with (tiles done, tiles in total)."""


class PictureUpscaler(ABC):
    """What enlarges pictures, whichever way. Calls must not overlap; threads want an object each, see `split`."""

    scale: int
    max_memory: int
    held: int
    """Bytes the process takes before it sees a picture."""
    engine: RowEngine
    order: Order = "rgb"
    """Of the colours in arrays, taken and given."""
    draws_patches = False
    """Whether `patch_map` has something to show."""

    @property
    @abstractmethod
    def minimum_size(self) -> int:
        """Smallest height and width in pixels that can be computed; smaller pictures are continued."""

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether tiles give the whole picture's result."""

    def __call__(self, image: Samples, *, reserve: int = 0) -> Samples:
        """The upscaled picture: [h, w, 3] RGB -> [s*h, s*w, 3] of the same type: uint8, uint16, or float32 of 0..1.

        A fourth channel is taken for alpha and upscaled as a grey picture, so that its edges stay with those of the
        colours. Pictures below the network's minimum size are continued by their border pixels and the result is
        cropped. reserve: bytes the caller will hold besides. Raises `SparsrError` for another shape or type, or if
        `max_memory` is too small.
        """
        height, width, channels = checked(image).shape
        shape = (height * self.scale, width * self.scale, channels)
        reserve += int(np.prod(shape)) * image.itemsize
        strips = self.strips(image, reserve=reserve, strip_bytes=sys.maxsize)
        first = next(strips)
        if first.shape == shape:
            return first
        result = np.empty(shape, image.dtype)
        result[: len(first)] = first
        row = len(first)
        for strip in strips:
            result[row : row + len(strip)] = strip
            row += len(strip)
        return result

    def strips(
        self, image: Samples, *, reserve: int = 0, on_tile: OnTile | None = None, strip_bytes: int = STRIP_BYTES
    ) -> Iterator[Samples]:
        """The upscaled picture in horizontal strips from top to bottom, each [rows, s*w, channels] of its type.

        For results larger than memory. `reserve`: bytes the caller will hold besides the picture. strip_bytes: of a
        strip, about, where the engine hands out rows as they come. Raises `SparsrError` as a call does, before
        anything is computed.
        """
        height, width = checked(image).shape[:2]
        _check_values(image)
        padded = _at_least(exchanged(image) if self.order == "bgr" else image, self.minimum_size)
        strips = self._start(padded, reserve, on_tile or (lambda done, total: None), strip_bytes)
        if padded.shape != image.shape:
            strips = _cropped(strips, height * self.scale, width * self.scale)
        return map(exchanged, strips) if self.order == "bgr" else strips

    def report(self) -> str:
        """What there is to tell of the picture upscaled last, in whole lines; empty if nothing."""
        return ""

    def patch_map(self, image: Samples) -> Samples:
        """The picture upscaled last in the colours of the candidates that computed its patches, above a legend.

        image: uint8 [h, w, 3] -> uint8 [s*h + legend, s*w, 3]. Raises `SparsrError` if one network computes all.
        """
        raise SparsrError("the bundle holds a single network", "a patch map is for adaptive bundles")

    def count_masks(self) -> dict[str, MaskCount]:
        """From now on add up what the masks of each layer hold important, in the dictionary returned.

        Raises `SparsrError` if the engine cannot tell, or no network has masks.
        """
        raise SparsrError("masks are counted of a single network", "name a bundle that holds one")

    def split(self, height: int, width: int) -> list[Self]:
        """Upscalers for pictures of that size that may work at the same time, in place of this one.

        They share out its threads and its memory: as many as there are threads, if each can have a whole picture in
        memory.
        """
        free = self.max_memory - self.held
        count = max(1, min(self.engine.threads, free // self._picture_bytes(height, width)))
        if count == 1:
            return [self]
        shares = [self._copy((self.engine.threads + i) // count) for i in range(count)]
        for share in shares:
            share.held, share.max_memory = self.held, self.held + free // count
        return shares

    @abstractmethod
    def _copy(self, threads: int) -> Self:
        """Another one like this that computes with so many threads."""

    @abstractmethod
    def _picture_bytes(self, height: int, width: int) -> int:
        """What a picture of that size and its result take while it is computed in one piece."""

    @abstractmethod
    def _start(self, image: Samples, reserve: int, on_tile: OnTile, strip_bytes: int) -> Iterator[Samples]:
        """Check that the picture can be done, and only then return its strips."""


def memory_limit(asked: int | None, held: int) -> int:
    """Bytes that a process which holds `held` may reach: as asked, else 1 GiB, and never less than half of it more."""
    least = held + DEFAULT_MAX_MEMORY // 2  # what a user of this library holds besides is no reason to refuse
    return max(DEFAULT_MAX_MEMORY, least) if asked is None else as_whole_number("max_memory", asked)


class Upscaler(PictureUpscaler):
    """A bundle loaded into an engine.

    bundle: a `Bundle` or its folder; if none is named the x2 model of `GENERAL`. engine: a name of
    `registry.ENGINES`; None for the native one where it can be built and the bundle has its file, else the first that
    fits. threads: None for one per core.
    max_memory: bytes this process may reach while it upscales, counting the picture and, for calls, the result; None
    for 1 GiB, or more where it holds much already (`memory_limit`). tile: tiles of that many input pixels a side
    instead of the size chosen by `max_memory`. precision: what the engine computes in. order: of the colours in arrays;
    OpenCV has "bgr".
    Raises `SparsrError` for a bad bundle, a missing engine or impossible settings.
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str] = GENERAL[2],
        engine: str | None = None,
        threads: int | None = None,
        max_memory: int | None = None,
        tile: int | None = None,
        precision: Precision = "fp32",
        order: Order = "rgb",
    ) -> None:
        check_word("the order of colours", order, get_args(Order))
        check_word("the precision", precision, PRECISIONS)
        self.order = order
        if engine:
            engine_kind(engine)  # a wrong name is told before the bundle is read
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        self.card = self.bundle.card
        self.scale = self.card.scale
        memory_limit(max_memory, 0)  # a wrong one is told before the engine is made
        self._tile = None if tile is None else self._checked_tile(as_whole_number("the side of a tile", tile))
        name = engine or default_engine([file.format for file in self.card.files])
        self.engine = open_engine(self.bundle, name, threads, precision)
        self.held = resident_bytes() + OVERHEAD
        self.max_memory = memory_limit(max_memory, self.held)

    @property
    def minimum_size(self) -> int:
        """Smallest height and width the network accepts."""
        return self.card.minimum_size

    @property
    def exact(self) -> bool:
        """Whether tiles give the whole picture's result."""
        return self.card.receptive_radius is not None

    def count_masks(self) -> dict[str, MaskCount]:
        """As promised; only the native engine tells."""
        counts = self.engine.count_masks()
        if not self.card.masked:
            raise SparsrError(f"the network in {self.bundle.path} has no masks", "leave out --masks")
        return counts

    @property
    def _halo(self) -> int:
        """Pixels around a tile that are computed with it."""
        radius = self.card.receptive_radius
        halo = APPROXIMATE_OVERLAP if radius is None else radius
        return max(halo, self.card.minimum_size // 2)  # so that no window is below the minimum size

    def _checked_tile(self, tile: int) -> int:
        if tile < 1:
            raise SparsrError(f"tiles of {tile} pixels are not possible", "ask for 1 or more")
        times = (1 + 2 * self._halo / tile) ** 2
        if times > _WASTEFUL:
            warnings.warn(
                f"tiles of {tile} pixels need {self._halo} pixels around them, so that every pixel is computed "
                f"{times:.0f} times; larger ones are faster, and --max-memory chooses them by itself",
                stacklevel=3,
            )
        return tile

    def _copy(self, threads: int) -> Self:
        twin = copy.copy(self)
        twin.engine = self.engine.share(threads)
        return twin

    def _picture_bytes(self, height: int, width: int) -> int:
        return self.engine.memory(height, width) + height * width * _COLOURS * (1 + self.scale**2)

    def _start(self, image: Samples, reserve: int, on_tile: OnTile, strip_bytes: int) -> Iterator[Samples]:
        tiling = self.tiling(image.shape[0], image.shape[1], image.shape[2] * image.itemsize, reserve)
        total = len(tiling.rows) * len(tiling.columns)
        done = iter(range(1, total + 1))
        return Windows(self.engine, self.scale, image, tiling, lambda: on_tile(next(done), total), strip_bytes).strips()

    def tiling(self, height: int, width: int, pixel_bytes: int = 3, reserve: int = 0) -> Tiling:
        """The tiles a picture of that size is computed in. Raises `SparsrError` if `max_memory` is too small."""
        halo = self._halo
        if self._tile is not None:
            return fixed(height, width, halo, self._tile)
        need = self._need(width, pixel_bytes)
        held = self.held + reserve + height * width * pixel_bytes
        try:
            return choose_tiling(height, width, halo, need, self.max_memory - held)
        except ValueError as error:
            needed = held + need.smallest(height, width, halo)
            raise SparsrError(
                f"{format_bytes(self.max_memory)} of memory are too few to upscale {width}x{height} pixels",
                f"allow at least {format_bytes(needed)}",
            ) from error

    def _need(self, width: int, pixel_bytes: int) -> Need:
        """What windows of a picture of that width take in memory."""
        row = width * self.scale**2 * pixel_bytes
        values = _VALUE_BYTES if pixel_bytes > _BYTE_PIXEL else 0

        def window(height: int, width: int) -> int:
            return self.engine.memory(height, width) + height * width * values

        return Need(window, _BANDS_ALIVE * row, STRIPS_ALIVE * max(STRIP_BYTES, row))

    def window(self, window: Samples, rows: Span, columns: Span) -> Samples:
        """What is kept of the network's result for one window: [h, w, 3] -> [s*rows, s*columns, 3]."""
        strips = self.engine.rows(window, sys.maxsize)
        return np.concatenate(list(kept_rows(strips, kept(rows, self.scale), kept(columns, self.scale))))


def fill(tile: Samples, window: Samples, run: Callable[[Samples], Samples], constant: bool) -> None:
    """Write a window's enlarged colours, and alpha if there is one, into `tile`; `constant`: alpha is everywhere."""
    tile[..., :3] = run(window[..., :3])
    if constant:
        tile[..., 3] = window[0, 0, 3]
    elif window.shape[2] == 4:
        tile[..., 3] = run(window[..., 3:].repeat(3, axis=2))[..., 1]


def exchanged(image: Samples) -> Samples:
    """The picture with red and blue exchanged; a view where there is no alpha."""
    return image[..., ::-1] if image.shape[2] == _COLOURS else image[..., [2, 1, 0, 3]]


def checked(image: Any) -> Samples:
    """The picture itself if it is one; `SparsrError` otherwise."""
    if not isinstance(image, np.ndarray) or image.dtype not in WHITE:
        found = f"{image.dtype} array" if isinstance(image, np.ndarray) else type(image).__name__
        hint = "convert it: values 0..255, uint8; uint16 and float32 of 0..1 are taken too"
        raise SparsrError(f"a picture must be a uint8 numpy array, not {found}", hint)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
        raise SparsrError(
            f"a picture must have the shape (height, width, 3), not {image.shape}",
            "channels come last; repeat a grey picture three times along a last axis",
        )
    return image


def _check_values(image: Samples) -> None:
    """Refuse floating-point values that are no numbers or plainly not of 0..1: all would come out white."""
    if image.dtype != np.float32:
        return
    least, most = float(image.min()), float(image.max())
    if not (least >= -_BEYOND and most <= 1 + _BEYOND):
        raise SparsrError(
            f"a float32 picture has values of 0..1, not of {least:g}..{most:g}",
            "divide by the value of white, 255 for one, or convert it to uint8",
        )


def _at_least(image: Samples, side: int) -> Samples:
    """The picture, continued to the bottom and right by its border pixels up to `side` pixels a side."""
    missing = [max(0, side - length) for length in image.shape[:2]]
    return np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else image


def _cropped(strips: Iterator[Samples], height: int, width: int) -> Iterator[Samples]:
    for strip in strips:
        if height > 0:
            yield strip[:height, :width]
        height -= len(strip)
