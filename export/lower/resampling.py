"""Enlargements and reductions by a ratio p / q as convolutions and pixel shuffles, exactly: q pixels become p.

Sub-pixel o lies where its taps do not depend on the pixel: each of p x p is an output of a convolution with stride q.
Results have p pixels for every q of the map, those of the last few counted whole: more than asked for where the side is
no multiple of q, and the ratio p / q is not 1 / q.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.layers import Conv, DepthToSpace, Nearest, PadEdge
from sparsr.export.lower.phases import Steps

LARGEST_BLOCK = 8  # of a pixel shuffle
TORCH_CUBIC = -0.75
"""Keys' a of torch's and ONNX's bicubic kernel."""
Places = NDArray[np.int64]
_Taps = Callable[[float, Places], NDArray[np.float64]]


def bicubic(channels: int, ratio: Fraction | int, a: float = TORCH_CUBIC, asymmetric: bool = False) -> Steps:
    """Bicubic, the border repeating, without antialiasing; half-pixel centres, or pixel 0 at sub-pixel 0."""
    return _resampled(channels, Fraction(ratio), asymmetric, (1, 2), lambda centre, places: _cubic(centre, places, a))


def bilinear(channels: int, ratio: Fraction | int, asymmetric: bool = False) -> Steps:
    """Bilinear, the same."""
    return _resampled(channels, Fraction(ratio), asymmetric, (0, 1), _linear)


def nearest(channels: int, ratio: Fraction) -> Steps | None:
    """Sub-pixel o is pixel floor(o / ratio). None for ratios whose numerator is no product of numbers up to 8."""
    factors = _factors(ratio.numerator)
    if not factors:
        return None
    before: Steps = [(f".larger{number}", Nearest(factor)) for number, factor in enumerate(factors[:-1])]
    return [*before, *_resampled(channels, Fraction(factors[-1], ratio.denominator), True, (0, 0), _same)]


def enlarged(factor: int) -> Steps:
    """Nearest by a product of numbers up to 8."""
    return [(f".times{number}", Nearest(part)) for number, part in enumerate(_factors(factor)) if part > 1]


def _factors(product: int) -> list[int]:
    """Numbers up to 8 whose product it is, few of them; none if there are none."""
    found = []
    while product > LARGEST_BLOCK:
        part = next((n for n in range(LARGEST_BLOCK, 1, -1) if product % n == 0), None)
        if part is None:
            return []
        found.append(part)
        product //= part
    return [*found, product]


def _resampled(channels: int, ratio: Fraction, asymmetric: bool, radius: tuple[int, int], taps: _Taps) -> Steps:
    """`radius`: pixels before and behind the last one at or before a sub-pixel's place that it is made of."""
    p, q = ratio.numerator, ratio.denominator
    centres = [phase * q / p if asymmetric else (phase + 0.5) * q / p - 0.5 for phase in range(p)]
    low, high = min(0, math.floor(centres[0]) - radius[0]), max(q - 1, math.floor(centres[-1]) + radius[1])
    places = np.arange(low, high + 1)
    lines = np.stack([taps(centre, places) for centre in centres])
    kernels = np.einsum("yi,xj->yxij", lines, lines).reshape(p * p, 1, len(places), len(places))
    weight = np.tile(kernels, (channels, 1, 1, 1)).astype(np.float32)
    conv = Conv(weight, np.zeros(len(weight), np.float32), stride=q, groups=channels)
    behind = high if p > 1 else high - q + 1
    steps: Steps = [(".pad", PadEdge((-low, -low, behind, behind)))] if low or behind else []
    return [*steps, (".conv", conv), ("", DepthToSpace(p))] if p > 1 else [*steps, ("", conv)]


def _same(centre: float, places: Places) -> NDArray[np.float64]:
    return (places == math.floor(centre + 1e-9)).astype(np.float64)


def _linear(centre: float, places: Places) -> NDArray[np.float64]:
    return np.maximum(1 - np.abs(places - centre), 0)


def _cubic(centre: float, places: Places, a: float) -> NDArray[np.float64]:
    distance = np.abs(places - centre)
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))
