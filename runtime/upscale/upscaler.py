"""Upscaling pictures with a bundle: 8-bit arrays in and out, in tiles if memory asks for it."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.engines.registry import (
    ByteEngine,
    Engine,
    FloatArray,
    Precision,
    SharingEngine,
    default_engine,
    engine_kind,
    load_engine,
)
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.memory import format_bytes, resident_bytes
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.upscale.tiling import APPROXIMATE_OVERLAP, Cost, Span, Tiling, fixed, plan

ByteArray = NDArray[np.uint8]
DEFAULT_MAX_MEMORY = 2**30
OVERHEAD = 40 * 2**20  # what decoders, encoders and engines take whatever the picture's size
_FLOAT_RGB = 12  # bytes
_FLOAT_OUTPUTS = 3  # the engine's result, its copy for us, and our 8-bit rounding of it
_COLOURS = 3
_STRIPS_ALIVE = 2  # the one being filled and the one its reader still holds
OnTile = Callable[[int, int], None]
"""Called with (tiles done, tiles in total)."""


class PictureUpscaler(ABC):
    """What enlarges pictures, whichever way. Calls must not overlap; threads want an object each, see `split`."""

    scale: int
    max_memory: int
    held: int
    """Bytes the process takes before it sees a picture."""
    engine: Engine

    @property
    @abstractmethod
    def minimum_size(self) -> int:
        """Smallest height and width in pixels that can be computed; smaller pictures are continued."""

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether tiles give the whole picture's result."""

    def __call__(self, image: ByteArray) -> ByteArray:
        """The upscaled picture: uint8 [h, w, 3] RGB -> uint8 [s*h, s*w, 3].

        A fourth channel is taken for alpha and upscaled as a grey picture, so that its edges stay with those of the
        colours. Pictures below the network's minimum size are continued by their border pixels and the result is
        cropped. Raises `SparsrError` for another shape or type, or if `max_memory` is too small.
        """
        height, width, channels = checked(image).shape
        shape = (height * self.scale, width * self.scale, channels)
        strips = self.strips(image, reserve=int(np.prod(shape)))
        first = next(strips)
        if first.shape == shape:
            return first
        result = np.empty(shape, np.uint8)
        result[: len(first)] = first
        row = len(first)
        for strip in strips:
            result[row : row + len(strip)] = strip
            row += len(strip)
        return result

    def strips(self, image: ByteArray, *, reserve: int = 0, on_tile: OnTile | None = None) -> Iterator[ByteArray]:
        """The upscaled picture in horizontal strips from top to bottom, each uint8 [rows, s*w, channels].

        For results larger than memory. `reserve`: bytes the caller will hold besides the picture. Raises `SparsrError`
        as a call does, before anything is computed.
        """
        checked(image)
        height, width = image.shape[:2]
        padded = _at_least(image, self.minimum_size)
        whole = self._start(padded, reserve, on_tile or (lambda done, total: None))
        if padded is image:
            return whole
        return _cropped(whole, height * self.scale, width * self.scale)

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
    def _start(self, image: ByteArray, reserve: int, on_tile: OnTile) -> Iterator[ByteArray]:
        """Check that the picture can be done, and only then return its strips."""


class Upscaler(PictureUpscaler):
    """A bundle loaded into an engine.

    bundle: a `Bundle` or its folder. engine: a name of `registry.ENGINES`; None for the native one where it can
    be built and the bundle has its file, else the first that fits. threads: None for one per core.
    max_memory: bytes this process may reach while it upscales, counting the picture and, for calls, the result.
    tile: tiles of that many input pixels a side instead of the size chosen by `max_memory`. precision: what the engine
    computes in.
    Raises `SparsrError` for a bad bundle, a missing engine or impossible settings.
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        engine: str | None = None,
        threads: int | None = None,
        max_memory: int | None = None,
        tile: int | None = None,
        precision: Precision = "fp32",
    ) -> None:
        if engine:
            engine_kind(engine)  # a wrong name is told before the bundle is read
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(Path(bundle))
        self.card = self.bundle.card
        self.scale = self.card.scale
        self.max_memory = DEFAULT_MAX_MEMORY if max_memory is None else max_memory
        if tile is not None and tile < 1:
            raise SparsrError(f"tiles of {tile} pixels are not possible", "ask for 1 or more")
        self._tile = tile
        name = engine or default_engine([file.format for file in self.card.files])
        self._kind = engine_kind(name)
        self._layout = self.bundle.file(self._kind.format).layout
        self._precision = precision
        self.engine = load_engine(name, self.bundle.model(self._kind.format), threads, precision)
        self.held = resident_bytes() + OVERHEAD

    @property
    def minimum_size(self) -> int:
        """Smallest height and width the network accepts."""
        return self.card.minimum_size

    @property
    def exact(self) -> bool:
        """Whether tiles give the whole picture's result."""
        return self.card.receptive_radius is not None

    def _copy(self, threads: int) -> Self:
        twin = copy.copy(self)
        if isinstance(self.engine, SharingEngine):
            twin.engine = self.engine.share(threads)
        else:
            twin.engine = load_engine(self._kind.name, self.bundle.model(self._kind.format), threads, self._precision)
        return twin

    def _picture_bytes(self, height: int, width: int) -> int:
        cost = self.cost(width, 3)
        return height * (width * (cost.pixel_bytes + 3 + 3 * self.scale**2) + cost.row_bytes)

    def _start(self, image: ByteArray, reserve: int, on_tile: OnTile) -> Iterator[ByteArray]:
        tiling = self.tiling(image.shape[0], image.shape[1], channels=image.shape[2], reserve=reserve)
        return self._strips(image, tiling, on_tile)

    def tiling(self, height: int, width: int, channels: int = 3, reserve: int = 0) -> Tiling:
        """The tiles a picture of that size is computed in. Raises `SparsrError` if `max_memory` is too small."""
        radius = self.card.receptive_radius
        halo = APPROXIMATE_OVERLAP if radius is None else radius
        halo = max(halo, self.card.minimum_size // 2)  # so that no window is below the minimum size
        if self._tile is not None:
            return fixed(height, width, halo, self._tile)
        cost = self.cost(width, channels)
        held = self.held + reserve + height * width * channels
        try:
            return plan(height, width, halo, cost, self.max_memory - held)
        except ValueError as error:
            needed = held + cost.smallest(height, width, halo)
            raise SparsrError(
                f"{format_bytes(self.max_memory)} of memory are too few to upscale {width}x{height} pixels",
                f"allow at least {format_bytes(needed)}",
            ) from error

    def cost(self, width: int, channels: int) -> Cost:
        """What a window of a picture of that width takes in memory."""
        kind, card = self._kind, self.card
        network = kind.activation_factor * card.peak_activation_bytes_per_pixel
        network += kind.convolution_bytes * len(card.widths)
        ends = 2 * _FLOAT_RGB + _FLOAT_OUTPUTS * _FLOAT_RGB * self.scale**2
        return Cost(int(network) + ends, _STRIPS_ALIVE * width * self.scale**2 * channels)

    def _strips(self, image: ByteArray, tiling: Tiling, on_tile: OnTile) -> Iterator[ByteArray]:
        s, width, channels = self.scale, image.shape[1], image.shape[2]
        if tiling.whole and channels == _COLOURS:
            whole = self.window(image, tiling.rows[0], tiling.columns[0])
            on_tile(1, 1)
            yield whole
            return
        constant = constant_alpha(image)
        done, total = 0, len(tiling.rows) * len(tiling.columns)
        for rows in tiling.rows:
            strip = np.empty((s * (rows.keep_stop - rows.keep_start), s * width, channels), np.uint8)
            for columns in tiling.columns:
                window = image[rows.start : rows.stop, columns.start : columns.stop]
                tile = strip[:, s * columns.keep_start : s * columns.keep_stop]
                fill(tile, window, lambda colours: self.window(colours, rows, columns), constant)  # noqa: B023
                done += 1
                on_tile(done, total)
            yield strip

    def window(self, window: ByteArray, rows: Span, columns: Span) -> ByteArray:
        """What is kept of the network's result for one window: uint8 [h, w, 3] -> [s*rows, s*columns, 3]."""
        s, value_range = self.scale, self.card.value_range
        size = s * window.shape[0], s * window.shape[1]
        if isinstance(self.engine, ByteEngine):
            result = self._infer(self.engine.run_bytes, window, (*size, 3), np.uint8)
            return result[kept(rows, s), kept(columns, s)]
        values = window.astype(np.float32)
        values *= np.float32(value_range / 255)
        if self._layout == "NCHW":
            values = np.ascontiguousarray(values.transpose(2, 0, 1))
        expected = (1, 3, *size) if self._layout == "NCHW" else (1, *size, 3)
        result = self._infer(self.engine.run, values[None], expected, np.float32)[0]
        if self._layout == "NCHW":
            result = result.transpose(1, 2, 0)
        return to_bytes(result[kept(rows, s), kept(columns, s)], value_range)

    def _infer(self, run: Callable[[Any], Any], values: Any, expected: tuple[int, ...], kind: type[np.generic]) -> Any:
        """The engine's result, which must have the shape and the type it should have."""
        pixels = f"{np.prod(values.shape) // 3} pixels"
        try:
            result = run(values)
        except Exception as error:  # every engine has its own exception types, without a common base
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SparsrError(
                f"the engine {self.engine.name} failed on {pixels}: {reason}",
                "allow less memory, so that tiles get smaller, or try another engine",
            ) from error
        if result.shape != expected or result.dtype != kind:
            raise SparsrError(
                f"the model gives {result.dtype} {result.shape} for {pixels}, not {np.dtype(kind)} {expected}",
                "export the bundle again",
            )
        return result


def to_bytes(values: FloatArray, value_range: float) -> ByteArray:
    """Values 0..`value_range` as the nearest of 0..255 (halves up), what lies outside cut off; works in place."""
    values *= np.float32(255 / value_range)
    values += np.float32(0.5)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)  # rounds down


def fill(tile: ByteArray, window: ByteArray, run: Callable[[ByteArray], ByteArray], constant: bool) -> None:
    """Write a window's enlarged colours, and alpha if there is one, into `tile`; `constant`: alpha is everywhere."""
    tile[..., :3] = run(window[..., :3])
    if constant:
        tile[..., 3] = window[0, 0, 3]
    elif window.shape[2] == 4:
        tile[..., 3] = run(window[..., 3:].repeat(3, axis=2))[..., 1]


def constant_alpha(image: ByteArray) -> bool:
    """Whether the picture has an alpha channel with one value everywhere."""
    return image.shape[2] == 4 and bool(image[..., 3].min() == image[..., 3].max())


def kept(span: Span, scale: int) -> slice:
    """The part of a window's result that is kept along one axis."""
    return slice(scale * (span.keep_start - span.start), scale * (span.keep_stop - span.start))


def checked(image: Any) -> ByteArray:
    """The picture itself if it is one; `SparsrError` otherwise."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = f"{image.dtype} array" if isinstance(image, np.ndarray) else type(image).__name__
        raise SparsrError(f"a picture must be a uint8 numpy array, not {found}", "convert it: values 0..255, uint8")
    if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
        raise SparsrError(
            f"a picture must have the shape (height, width, 3), not {image.shape}",
            "repeat a grey picture three times along a last axis",
        )
    return image


def _at_least(image: ByteArray, side: int) -> ByteArray:
    """The picture, continued to the bottom and right by its border pixels up to `side` pixels a side."""
    missing = [max(0, side - length) for length in image.shape[:2]]
    return np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else image


def _cropped(strips: Iterator[ByteArray], height: int, width: int) -> Iterator[ByteArray]:
    for strip in strips:
        if height > 0:
            yield strip[:height, :width]
        height -= len(strip)
