"""Numbers that follow from how many pixels, rows or columns a map has: sums from means,
n - 1 of unbiased variances and the like.

Layers know no sizes, but 1 / n is the mean of a map that is 1 in its corner and 0 elsewhere: the difference of ones and
of ones moved by a pixel, beyond whose border lie zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.layers import Activation, ChannelAffine, Conv, GlobalMean, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site

_NEAR = 1e-6
"""Relative; what rounding to float32 may differ by."""
_FIRSTS = {
    frozenset([2, 3]): np.array([[[[1, -1], [-1, 1]]]], np.float32),
    frozenset([2]): np.array([[[[-1], [1]]]], np.float32),
    frozenset([3]): np.array([[[[-1, 1]]]], np.float32),
}
"""By the axes that are counted: what makes of ones a 1 in the first of all places."""


@dataclass(frozen=True)
class _Rule:
    """factor u + offset of u = n or, if `share`, 1 / n; or 1 divided by that. n counts pixels, rows or columns."""

    factor: float
    offset: float
    share: bool
    inverse: bool


_USUAL = tuple(
    _Rule(1, offset, share, inverse)
    for share, offset in ((False, 0), (False, -1), (True, 0))
    for inverse in (False, True)
)
"""n, 1 / n, n - 1, 1 / (n - 1): what a number is taken for in a file for one size, where it is one of them."""


def operand(site: Site, index: int) -> str:
    """The graph's tensor of an operand: a feature map, or one pixel that holds a number which follows from a size."""
    if not site.is_number(index):
        return site.map(index)
    values = np.array([float(np.ravel(value)[0]) for value in site.settings(index)])
    for name, size in site.sizes_of_maps():
        sides = np.array(size, np.float64)
        for axes in _FIRSTS:
            if rule := _fitted(values, sides[:, [axis - 2 for axis in sorted(axes)]].prod(1)):
                return _number(site, name, axes, rule, f".number{index}")
    return site.refuse("its operand depends on the image's size in a way not handled")


def count_of(site: Site, source: str, axes: set[int], suffix: str) -> str:
    """How many rows (axis 2), columns (3) or pixels (both) a map has, as one pixel of one channel."""
    return _number(site, source, frozenset(axes), _Rule(1, 0, False, False), suffix)


def _fitted(values: NDArray[np.float64], pixels: NDArray[np.float64]) -> _Rule | None:
    if not values.all():
        return None
    if len(set(pixels.tolist())) < 3:
        return next((rule for rule in _USUAL if len(pixels) == 1 and _gives(rule, pixels[0], values[0])), None)
    for inverse in (False, True):
        for share in (False, True):
            wanted, known = (1 / values if inverse else values), (1 / pixels if share else pixels)
            exact = np.polyfit(known, wanted, 1)
            for factor, offset in (np.round(exact, 3), exact):
                if np.abs(factor * known + offset - wanted).max() <= _NEAR * np.abs(wanted).max():
                    return _Rule(float(factor), float(offset), share, inverse)
    return None


def _gives(rule: _Rule, count: float, value: float) -> bool:
    number = rule.factor / count if rule.share else rule.factor * count
    number = 1 / (number + rule.offset) if rule.inverse else number + rule.offset
    return bool(abs(number - value) <= _NEAR * abs(value))


def _number(site: Site, source: str, axes: frozenset[int], rule: _Rule, suffix: str) -> str:
    """The layers that compute it from how many rows, columns or pixels `source` has."""
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    steps: phases.Steps = [
        (".one", SliceChannels(0, 1)),
        (".ones", ChannelAffine(zero, one)),
        (".corner", Conv(_FIRSTS[axes], zero, padding=(int(2 in axes), int(3 in axes), 0, 0))),
        (".share", GlobalMean()),
    ]
    if not rule.share:
        steps.append((".pixels", Activation("reciprocal")))
    if (rule.factor, rule.offset) != (1, 0):
        steps.append((".line", ChannelAffine(np.full(1, rule.factor, np.float32), np.full(1, rule.offset, np.float32))))
    if rule.inverse:
        steps.append((".inverse", Activation("reciprocal")))
    return site.chain([(suffix + step, layer) for step, layer in steps], source)
