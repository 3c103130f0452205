"""Pixels whose mask rounding may turn: two runs can only be compared given the same masks.

A mask holds a pixel important if one logit is larger than another. Where the two are equal but for the last bits of
float32, another order of summation decides otherwise, and what the network computes there changes by whole levels
although nothing is wrong. Such a pixel is told by its margin in torch: the logits' difference as a share of the
block's largest logit in that image. Every other pixel must have the same mask.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sparsr.export.ir.layers import BoolArray
from sparsr.runtime.samples import FloatArray
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.smsr import mask_blocks

LARGEST_MARGIN = 1e-5
"""Pixels with less may have either mask."""
NOISE = 1e-3 / 255
"""Differences of results up to this share of the value range are rounding, given the same masks."""
_MOST_RUNS = 24


@dataclass(frozen=True)
class Settled:
    """What torch computes given the masks another run must have had."""

    output: FloatArray
    """[1, 3, s*h, s*w] float32 in 0..value_range, not clipped."""
    margins: tuple[float, ...] = ()
    """Of every pixel whose mask had to be turned; each below `LARGEST_MARGIN`."""


Settle = Callable[[FloatArray, FloatArray, FloatArray], Settled]
"""Image [1, 3, h, w], torch's result, another run's result."""


def as_torch(image: FloatArray, expected: FloatArray, found: FloatArray) -> Settled:
    """For networks without masks: torch's result as it is."""
    return Settled(expected)


@dataclass(frozen=True)
class _Pixel:
    """A place in a mask and how near its decision was."""

    block: int
    row: int
    column: int
    margin: float


def settler(network: SRNetwork, value_range: float) -> Settle:
    """How to compare with `network`, run on the CPU in float32 for images in 0..`value_range`."""
    plain = copy.deepcopy(network).cpu().float().eval()
    blocks, factor = mask_blocks(plain), plain.value_range / value_range
    if not blocks:
        return as_torch

    def run(image: FloatArray, turned: tuple[_Pixel, ...]) -> tuple[FloatArray, list[_Pixel]]:
        with torch.inference_mode(), _turned(blocks, turned) as near:
            result = plain(torch.from_numpy(image) * factor) / factor
        return np.asarray(result.numpy(), np.float32), near

    def settle(image: FloatArray, expected: FloatArray, found: FloatArray) -> Settled:
        if not _off(expected, found, value_range).any():
            return Settled(expected)
        output, near = run(image, ())
        turned: tuple[_Pixel, ...] = ()
        for _ in range(_MOST_RUNS):
            off = _off(output, found, value_range)
            pixel = next(_suspects(near, turned, off, plain.scale), None)
            if pixel is None:
                break
            near.remove(pixel)
            other, other_near = run(image, (*turned, pixel))
            if _off(other, found, value_range).sum() < off.sum():
                output, near, turned = other, other_near, (*turned, pixel)
        return Settled(output, tuple(pixel.margin for pixel in turned))

    return settle


@contextmanager
def _turned(blocks: Sequence[nn.Module], pixels: tuple[_Pixel, ...]) -> Iterator[list[_Pixel]]:
    """Turn the masks of `pixels`; the list fills with all pixels near a decision, in the order of the blocks."""
    near: list[_Pixel] = []

    def hook(index: int) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        def change(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            features, logits = inputs
            near.extend(_near(index, logits[0]))
            logits = logits.clone()
            for pixel in pixels:
                if pixel.block == index:
                    decision = logits[0, :, pixel.row, pixel.column]
                    important = bool(decision[1] > decision[0])
                    decision.copy_(torch.tensor([1.0, 0.0] if important else [0.0, 1.0]))
            return features, logits

        return change

    with ExitStack() as stack:
        for index, block in enumerate(blocks):
            stack.callback(block.register_forward_pre_hook(hook(index)).remove)
        yield near


def _near(block: int, logits: Tensor) -> list[_Pixel]:
    """The undecided pixels of one mask, logits [2, h, w], the least decided first."""
    margins = (logits[1] - logits[0]).abs() / logits.abs().max().clamp(min=1e-30)
    places = (margins < LARGEST_MARGIN).nonzero().tolist()
    pixels = [_Pixel(block, row, column, float(margins[row, column])) for row, column in places]
    return sorted(pixels, key=lambda pixel: pixel.margin)


def _off(expected: FloatArray, found: FloatArray, value_range: float) -> BoolArray:
    """bool [s*h, s*w]: where results of the same shape differ by more than rounding."""
    if expected.shape != found.shape:
        return np.zeros(expected.shape[2:], bool)
    return ~(np.abs(found - expected) <= NOISE * value_range).all((0, 1))


def _suspects(near: list[_Pixel], turned: tuple[_Pixel, ...], off: BoolArray, scale: int) -> Iterator[_Pixel]:
    """Undecided pixels at which the results differ."""
    done = {(pixel.block, pixel.row, pixel.column) for pixel in turned}
    for pixel in near:
        rows, columns = (slice(scale * place, scale * (place + 1)) for place in (pixel.row, pixel.column))
        if off[rows, columns].any() and (pixel.block, pixel.row, pixel.column) not in done:
            yield pixel
