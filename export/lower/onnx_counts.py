"""Numbers that follow from how many pixels a map has: sums from means, n - 1 of unbiased variances and the like.

Layers know no sizes, but 1 / n is the mean of a map that is 1 in its corner and 0 elsewhere: the difference of ones and
of ones moved by a pixel, beyond whose border lie zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.layers import Activation, ChannelAffine, Conv, GlobalMean, Mul, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site

_NEAR = 1e-6
"""Relative; what rounding to float32 may differ by."""
_CORNER = np.array([[[[1, -1], [-1, 1]]]], np.float32)


@dataclass(frozen=True)
class _Rule:
    """factor u + offset of u = n or, if `share`, 1 / n; or 1 divided by that."""

    factor: float
    offset: float
    share: bool
    inverse: bool


def operand(site: Site, index: int) -> str:
    """The graph's tensor of an operand: a feature map, or one pixel that holds a number which follows from a size."""
    if not site.is_number(index):
        return site.map(index)
    values = np.array([float(np.ravel(value)[0]) for value in site.settings(index)])
    for name, size in site.sizes_of_maps():
        pixels = np.array([height * width for height, width in size], np.float64)
        if rule := _fitted(values, pixels):
            return _number(site, name, rule, f".number{index}")
    return site.refuse("its operand depends on the image's size in a way not handled")


def pixel_sum(site: Site, source: str, suffix: str = "") -> str:
    """The sums over all pixels of a map as large as the node's first operand."""
    channels = site.channels()
    mean = site.emit(GlobalMean(), [source], f"{suffix}.mean")
    count = _number(site, site.map(), _Rule(1, 0, False, False), f"{suffix}.count")
    wide = site.emit(phases.channel_map(np.ones((channels, 1))), [count], f"{suffix}.counts")
    return site.emit(Mul(), [mean, wide], suffix)


def _fitted(values: NDArray[np.float64], pixels: NDArray[np.float64]) -> _Rule | None:
    if len(set(pixels.tolist())) < 3 or not values.all():
        return None
    for inverse in (False, True):
        for share in (False, True):
            wanted, known = (1 / values if inverse else values), (1 / pixels if share else pixels)
            exact = np.polyfit(known, wanted, 1)
            for factor, offset in (np.round(exact, 3), exact):
                if np.abs(factor * known + offset - wanted).max() <= _NEAR * np.abs(wanted).max():
                    return _Rule(float(factor), float(offset), share, inverse)
    return None


def _number(site: Site, source: str, rule: _Rule, suffix: str) -> str:
    """The layers that compute it from the size of `source`."""
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    steps: phases.Steps = [
        (".one", SliceChannels(0, 1)),
        (".ones", ChannelAffine(zero, one)),
        (".corner", Conv(_CORNER, zero, padding=(1, 1, 0, 0))),
        (".share", GlobalMean()),
    ]
    if not rule.share:
        steps.append((".pixels", Activation("reciprocal")))
    if (rule.factor, rule.offset) != (1, 0):
        steps.append((".line", ChannelAffine(np.full(1, rule.factor, np.float32), np.full(1, rule.offset, np.float32))))
    if rule.inverse:
        steps.append((".inverse", Activation("reciprocal")))
    return site.chain([(suffix + step, layer) for step, layer in steps], source)
