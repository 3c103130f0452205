"""What convolutions and pixel shuffles make up, exactly: every sub-pixel is an output of its own.

Each function gives the layers, one after the other, with the suffix of each one's name; the last suffix is empty.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.layers import ChannelAffine, Conv, Crop, DepthToSpace, InstanceNorm, Layer
from sparsr.runtime.samples import FloatArray

Steps = list[tuple[str, Layer]]
_LARGEST_BLOCK = 8  # of a pixel shuffle


def conv_transpose(
    weight: FloatArray,
    bias: FloatArray,
    stride: int,
    padding: tuple[int, int, int, int],
    extra: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> Steps:
    """A transposed convolution: a convolution over the small map, its outputs shuffled, and what is too much cut off.

    weight: [in, out / groups, kernel height, kernel width]; padding: what is cut off (top, left, bottom, right); extra:
    rows and columns added at the end (torch's output_padding). Output
    s q + p reads input q + j through tap p + top - s j.
    """
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]
    axes = [_Phases(weight.shape[2 + a], stride, padding[a], padding[2 + a], extra[a]) for a in (0, 1)]
    rows, columns = axes
    kernel = np.zeros((groups, outputs, stride, stride, inputs, len(rows.offsets), len(columns.offsets)), np.float32)
    filters = weight.reshape(groups, inputs, *weight.shape[1:]).swapaxes(1, 2)
    for (py, jy), ky in rows.taps.items():
        for (px, jx), kx in columns.taps.items():
            kernel[:, :, py, px, :, jy, jx] = filters[:, :, :, ky, kx]
    zeros = (-rows.offsets[0], -columns.offsets[0], rows.after, columns.after)
    kernel = kernel.reshape(-1, inputs, *kernel.shape[5:])
    conv = Conv(kernel, np.repeat(bias, stride**2), padding=zeros, groups=groups)
    steps: Steps = [(".conv", conv), (".shuffle", DepthToSpace(stride))]
    if rows.spare or columns.spare:
        return [*steps, ("", Crop((0, 0, rows.spare, columns.spare), outputs * groups))]
    return [*steps[:-1], ("", DepthToSpace(stride))]


class _Phases:
    """One axis of a transposed convolution."""

    def __init__(self, kernel: int, stride: int, before: int, behind: int, extra: int) -> None:
        spare = stride - kernel + before + behind - extra
        more = max(0, math.ceil(-spare / stride))
        self.spare = spare + more * stride
        """Pixels of the shuffled result that are too many."""
        lowest = min(math.ceil((before - kernel + 1) / stride), 0)
        highest = (stride - 1 + before) // stride
        self.offsets = range(lowest, highest + 1)
        self.after = highest + more
        self.taps = {
            (phase, offset - lowest): phase + before - stride * offset
            for phase in range(stride)
            for offset in self.offsets
            if 0 <= phase + before - stride * offset < kernel
        }
        """(sub-pixel, place in the convolution's kernel): tap."""


def pixel_unshuffle(channels: int, block: int, depth_first: bool = False) -> Conv:
    """Every block x block pixels as channels, in torch's order c*r*r + dy*r + dx or `depth_first` (dy*r + dx)*C + c."""
    weight = np.eye(block**2, dtype=np.float32).reshape(block**2, 1, block, block)
    weight = np.tile(weight, (channels, 1, 1, 1))
    conv = Conv(weight, _no_bias(weight), stride=block, groups=channels)
    if not depth_first:
        return conv
    whole = np.zeros((block**2, channels, channels, block, block), np.float32)
    for channel in range(channels):
        whole[:, channel, channel] = weight[: block**2, 0]
    return Conv(whole.reshape(-1, channels, block, block), _no_bias(weight), stride=block)


def dilated(weight: FloatArray, dilation: tuple[int, int]) -> FloatArray:
    """The kernel with zeros between its taps."""
    sides = [(side - 1) * step + 1 for side, step in zip(weight.shape[2:], dilation, strict=True)]
    spread = np.zeros((*weight.shape[:2], *sides), np.float32)
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread


def zero_padded(channels: int, padding: tuple[int, int, int, int]) -> Conv:
    """Zeros around the image (top, left, bottom, right), as a convolution that copies."""
    weight = np.ones((channels, 1, 1, 1), np.float32)
    return Conv(weight, _no_bias(weight), padding=padding, groups=channels)


def depth_first(channels: int, block: int) -> NDArray[np.intp]:
    """For each channel in the order c*r*r + dy*r + dx, its place in the order (dy*r + dx)*C + c."""
    return np.arange(channels).reshape(block**2, -1).T.reshape(-1)


def scaled(channels: int, factor: float) -> ChannelAffine:
    """Every value times `factor`."""
    return ChannelAffine(np.full(channels, factor, np.float32), np.zeros(channels, np.float32))


def group_norm(gain: FloatArray, shift: FloatArray, groups: int, epsilon: float) -> Steps | None:
    """Group normalisation (Wu, He, 2018): a group's channels become the pixels of one channel, which is normalised.

    They must fill a square: where they do not, each is taken equally often, which changes no mean and no variance.
    gain, shift: [channels]. None for groups of a number of channels that no squares of up to 8 x 8 hold.
    """
    channels = len(gain)
    each = channels // groups
    repeats = next((n for n in range(1, each + 1) if math.isqrt(each * n) ** 2 == each * n), 0)
    side = math.isqrt(each * repeats)
    folds = [side] if side <= _LARGEST_BLOCK else _two_factors(side)
    if not folds:
        return None
    norm = InstanceNorm(np.ones(groups, np.float32), np.zeros(groups, np.float32), epsilon)
    wide, steps = channels * repeats, list[tuple[str, Layer]]()
    if repeats > 1:
        steps.append((".repeated", channel_map(np.repeat(np.eye(channels), repeats, 0))))
    steps += [(f".square{number}", DepthToSpace(fold)) for number, fold in enumerate(folds) if fold > 1]
    steps.append((".norm", norm))
    left = groups
    for number, fold in reversed(list(enumerate(folds))):
        if fold > 1:
            steps.append((f".channels{number}", pixel_unshuffle(left, fold)))
            left *= fold**2
    if repeats > 1:
        steps.append((".single", channel_map(np.eye(wide)[::repeats])))
    return [*steps, ("", ChannelAffine(gain, shift))]


def _two_factors(side: int) -> list[int]:
    """Two numbers of at most 8 whose product it is, if there are any."""
    return next(([n, side // n] for n in range(_LARGEST_BLOCK, 1, -1) if side % n == 0 and side // n <= 8), [])


def channel_map(matrix: Any) -> Conv:
    """A 1x1 convolution with the matrix [out, in]."""
    weight = np.asarray(matrix, np.float32)[:, :, None, None]
    return Conv(weight, _no_bias(weight))


def _no_bias(weight: FloatArray) -> FloatArray:
    return np.zeros(len(weight), np.float32)
