"""Upscaling pictures with an adaptive bundle."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.engines.contract import Precision
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.memory import format_bytes, resident_bytes
from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle
from sparsr.runtime.samples import BYTE, Samples, converted
from sparsr.runtime.upscale.adaptive import bicubic
from sparsr.runtime.upscale.adaptive.choice import Choice, describe_shares, patch_map
from sparsr.runtime.upscale.adaptive.layout import MAX_SIDE, Price, Window, gains, lay_out, published_gains
from sparsr.runtime.upscale.tiling import Span
from sparsr.runtime.upscale.upscaler import OVERHEAD, OnTile, PictureUpscaler, Upscaler, fill, memory_limit
from sparsr.runtime.upscale.windows import constant_alpha

DEFAULT_BETA = 0.3
MAX_BETA = 1e6
_TRIALS = 3
_STRIPS_ALIVE = 2  # the one being filled and the one its reader still holds


class Shares(NamedTuple):
    """Who computed a picture."""

    choice: Choice
    pixels: NDArray[np.int64]
    """Input pixels every candidate computed, surroundings included: [n]."""


class AdaptiveUpscaler(PictureUpscaler):
    """An adaptive bundle loaded into an engine; every patch of a picture is computed by one of its candidates.

    bundle: an `AdaptiveBundle` or its folder. beta: 0 for the least estimated error at any cost; the larger, the
    cheaper. engine, threads, max_memory, precision: as of `Upscaler`. published: choose by Eq. 8 as it stands, patch by
    patch, as if surroundings cost nothing.
    Raises `SparsrError` for a bad bundle, a missing engine or impossible settings.
    """

    draws_patches = True

    def __init__(
        self,
        bundle: AdaptiveBundle | str | os.PathLike[str],
        engine: str | None = None,
        threads: int | None = None,
        max_memory: int | None = None,
        beta: float = DEFAULT_BETA,
        precision: Precision = "fp32",
        published: bool = False,
    ) -> None:
        if not isinstance(beta, int | float) or not 0 <= beta <= MAX_BETA:
            raise SparsrError(f"a beta of {beta} is not possible", f"ask for 0 to {MAX_BETA:g}")
        self.bundle = bundle if isinstance(bundle, AdaptiveBundle) else AdaptiveBundle.open(bundle)
        self.card = self.bundle.card
        self.scale, self.beta, self._published = self.card.scale, beta, published
        self._estimator = self.bundle.estimator()
        self._networks = [
            Upscaler(network, engine, threads, max_memory, precision=precision) for network in self.bundle.networks
        ]
        self.candidates: list[Upscaler | bicubic.Bicubic] = [*self._networks, bicubic.Bicubic(self.scale)]
        halos = [*(network.halo for network in self.card.networks), bicubic.HALO]
        least = [*(network.card.minimum_size for network in self.bundle.networks), 1]
        costs = zip(self.card.costs, halos, least, strict=True)
        self.prices = [Price(cost, halo, least=side) for cost, halo, side in costs]
        """Work; `measure_prices` replaces it by time."""
        self.engine = self._networks[0].engine
        self.held = resident_bytes() + OVERHEAD
        self.max_memory = memory_limit(max_memory, self.held)
        self.shares = Shares(np.zeros((0, 0), np.intp), np.zeros(len(self.candidates), np.int64))
        """Of the picture computed last, as far as its strips were taken."""

    @property
    def minimum_size(self) -> int:
        """Smallest height and width every network accepts."""
        return max(network.card.minimum_size for network in self.bundle.networks)

    @property
    def exact(self) -> bool:
        """Whether every patch is what its candidate gives for the whole picture."""
        radii = [network.card.receptive_radius for network in self.bundle.networks]
        halos = [price.halo for price in self.prices]
        return all(radius is not None and radius <= halo for radius, halo in zip(radii, halos, strict=False))

    def measure_prices(self) -> None:
        """Let time on this machine, instead of multiply-adds, be what beta weighs. Takes a second or two."""
        self.prices = [_timed(*pair) for pair in zip(self.candidates, self.prices, strict=True)]

    def report(self) -> str:
        """Which candidate computed how much of the last picture."""
        return f"patches: {describe_shares(self.card, self.shares.choice)}\n"

    def patch_map(self, image: Samples) -> Samples:
        """The picture upscaled last, each patch in the colour of its candidate."""
        return patch_map(image, self.card, self.shares.choice)

    def _copy(self, threads: int) -> Self:
        twin = copy.copy(self)
        twin._networks = [network._copy(threads) for network in self._networks]
        twin.candidates = [*twin._networks, self.candidates[-1]]
        twin.engine = twin._networks[0].engine
        return twin

    def _picture_bytes(self, height: int, width: int) -> int:
        return height * width * 3 * (1 + self.scale**2) + self._windows_bytes(height, width, 3, MAX_SIDE)

    def _start(self, image: Samples, reserve: int, on_tile: OnTile, strip_bytes: int) -> Iterator[Samples]:
        return self._strips(image, self._block_side(image, reserve), on_tile)

    def _block_side(self, image: Samples, reserve: int) -> int:
        """Patches a side of the largest blocks whose windows fit into the memory limit."""
        height, width, channels = image.shape
        for side in range(MAX_SIDE, 0, -1):
            windows = self._windows_bytes(height, width, channels * image.itemsize, side)
            needed = self.held + reserve + image.nbytes + windows
            if needed <= self.max_memory:
                return side
        raise SparsrError(
            f"{format_bytes(self.max_memory)} of memory are too few to upscale {width}x{height} pixels",
            f"allow at least {format_bytes(needed)}",
        )

    def _windows_bytes(self, height: int, width: int, channels: int, side: int) -> int:
        """What the networks take for blocks of `side` patches a side; each keeps it for its next window."""
        needed = strips = 0
        for network, price in zip(self._networks, self.prices, strict=False):
            rows, columns = (min(length, side * self.card.patch + 2 * price.halo) for length in (height, width))
            needed += network.engine.memory(rows, columns)
            strips = max(strips, _STRIPS_ALIVE * rows * width * self.scale**2 * channels)
        return needed + strips

    def _strips(self, image: Samples, side: int, on_tile: OnTile) -> Iterator[Samples]:
        (height, width, channels), s, patch = image.shape, self.scale, self.card.patch
        bands, blocks = (_blocks(length, side * patch) for length in (height, width))
        self.shares = Shares(np.zeros((-(-height // patch), -(-width // patch)), np.intp), 0 * self.shares.pixels)
        gain = (published_gains if self._published else gains)(
            np.concatenate(
                [self._estimator(converted(image[b.keep_start : b.keep_stop, :, :3], BYTE), patch) for b in bands],
                axis=1,
            )
        )
        prices = [Price(price.pixel, 0) for price in self.prices] if self._published else self.prices
        constant, done = constant_alpha(image), 0
        for rows in bands:
            strip = np.empty((s * (rows.keep_stop - rows.keep_start), s * width, channels), image.dtype)
            for columns in blocks:
                part = gain[:, _patches(rows, patch), _patches(columns, patch)]
                windows = lay_out(part, prices, (rows, columns), patch, self.beta)
                for window in sorted(windows, key=_shape, reverse=True):  # smaller ones find memory prepared
                    self._compute(image, strip, window, (rows, columns), constant)
                done += 1
                on_tile(done, len(bands) * len(blocks))
            yield strip

    def _compute(
        self, image: Samples, strip: Samples, window: Window, block: tuple[Span, Span], constant: bool
    ) -> None:
        """Compute one window of a block and write it into the strip."""
        s, patch, price = self.scale, self.card.patch, self.prices[window.candidate]
        rows = _span(block[0], window.row * patch, window.row_stop * patch, price)
        columns = _span(block[1], window.column * patch, window.column_stop * patch, price, price.columns)
        pixels = image[rows.start : rows.stop, columns.start : columns.stop]
        top = block[0].keep_start
        tile = strip[
            s * (rows.keep_start - top) : s * (rows.keep_stop - top), s * columns.keep_start : s * columns.keep_stop
        ]
        candidate = self.candidates[window.candidate]
        fill(tile, pixels, lambda colours: candidate.window(colours, rows, columns), constant)
        choice = self.shares.choice[rows.keep_start // patch :, columns.keep_start // patch :]
        choice[: window.row_stop - window.row, : window.column_stop - window.column] = window.candidate
        self.shares.pixels[window.candidate] += pixels.shape[0] * pixels.shape[1]


def _timed(candidate: Upscaler | bicubic.Bicubic, price: Price) -> Price:
    """The candidate's price in seconds of CPU time, for windows of sizes that change every time."""
    sides, seconds = (64, 160), []
    for side in sides * _TRIALS:
        picture, span = np.zeros((side, side, 3), np.uint8), Span(0, side, 0, side)
        start = time.process_time()
        candidate.window(picture, span, span)
        seconds.append(time.process_time() - start)
    small, large = (min(seconds[number::2]) for number in (0, 1))
    pixel = max(large - small, 1e-9) / (sides[1] ** 2 - sides[0] ** 2)
    engine = getattr(candidate, "engine", None)
    columns = engine.columns if engine else 1
    return replace(price, pixel=pixel, window=max(0.0, small - pixel * sides[0] ** 2), columns=columns)


def _shape(window: Window) -> tuple[int, int, int]:
    return window.candidate, window.row_stop - window.row, window.column_stop - window.column


def _blocks(length: int, side: int) -> list[Span]:
    """Spans of at most `side` pixels; surroundings may reach from border to border."""
    return [Span(0, length, start, min(start + side, length)) for start in range(0, length, side)]


def _patches(span: Span, patch: int) -> slice:
    return slice(span.keep_start // patch, -(-span.keep_stop // patch))


def _span(block: Span, first: int, last: int, price: Price, multiple: int = 1) -> Span:
    """The pixels `first` to `last` of a block with their surroundings, which end at the picture's borders.

    With more of them where the length would not be the price's least, or no multiple of `multiple`.
    """
    keep_start, keep_stop = block.keep_start + first, min(block.keep_start + last, block.keep_stop)
    start, stop = max(keep_start - price.halo, block.start), min(keep_stop + price.halo, block.stop)
    length = -(-max(stop - start, price.least) // multiple) * multiple
    start = max(min(start, block.stop - length), block.start)
    return Span(start, min(start + length, block.stop), keep_start, keep_stop)
