"""The rules that lower ONNX operators which sum up pixels, rows, columns or channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparsr.export.ir.layers import (
    Activation,
    ChannelSoftmax,
    GlobalMax,
    GlobalMean,
    Layer,
    LineMax,
    LineMean,
    Mul,
    SliceChannels,
)
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_counts import count_of
from sparsr.export.lower.onnx_functions import Rule
from sparsr.export.lower.onnx_site import Site

_PIXELS = (2, 3)


def mean(site: Site) -> str:
    """ReduceMean over any of channels, rows and columns."""
    axes, source = _axes(site), site.map()
    if axes - {1}:
        source = site.emit(_of_pixels(axes, GlobalMean, LineMean), [source], ".pixels" if 1 in axes else "")
    return _of_channels(site, source, 1 / site.channels()) if 1 in axes else source


def total(site: Site) -> str:
    """ReduceSum over any of channels, rows and columns."""
    return _summed(site, site.map())


def _summed(site: Site, source: str, suffix: str = "") -> str:
    axes, channels = _axes(site), site.channels()
    if axes - {1}:
        means = site.emit(_of_pixels(axes, GlobalMean, LineMean), [source], f"{suffix}.mean")
        count = count_of(site, site.map(), axes - {1}, f"{suffix}.count")
        wide = site.emit(phases.channel_map(np.ones((channels, 1))), [count], f"{suffix}.counts")
        source = site.emit(Mul(), [means, wide], f"{suffix}.pixels" if 1 in axes else suffix)
    return _of_channels(site, source, 1, suffix) if 1 in axes else source


def _of_channels(site: Site, source: str, weight: float, suffix: str = "") -> str:
    return site.emit(phases.channel_map(np.full((1, site.channels()), weight)), [source], suffix)


def _of_pixels(axes: set[int], whole: Callable[[], Layer], line: Callable[[int], Layer]) -> Layer:
    return whole() if axes.issuperset(_PIXELS) else line(0 if 2 in axes else 1)


def norm(power: int) -> Rule:
    """ReduceL1 (1), ReduceL2 (2)."""

    def rule(site: Site) -> str:
        if power == 1:
            slopes = np.full(site.channels(), -1, np.float32)
            return _summed(site, site.emit(Activation("prelu", slopes=slopes), [site.map()], ".sizes"))
        return site.emit(Activation("sqrt"), [square_sum(site, ".sum")])

    return rule


def square_sum(site: Site, suffix: str = "") -> str:
    """ReduceSumSquare."""
    return _summed(site, site.emit(Mul(), [site.map()] * 2, ".squares"), suffix)


def softmax(site: Site) -> str:
    """Softmax over the channels."""
    axis = int(site.attributes.get("axis", -1)) % site.rank()
    site.require(axis == 1, f"it works over axis {axis}; only channels (1) are handled")
    return site.emit(ChannelSoftmax(), [site.map()])


def extreme(sign: float) -> Rule:
    """ReduceMax (1), ReduceMin (-1) over any of channels, rows and columns."""

    def rule(site: Site) -> str:
        axes, source, channels = _axes(site), site.map(), site.channels()
        if axes - {1}:
            turned = source if sign > 0 else _negative(site, source, channels, ".negative")
            last = ".pixels" if 1 in axes or sign < 0 else ""
            source = site.emit(_of_pixels(axes, GlobalMax, LineMax), [turned], last)
            if sign < 0:
                source = _negative(site, source, channels, ".lines" if 1 in axes else "")
        if 1 not in axes:
            return source
        while channels > 1:  # the first half beside the second; of an odd number the one in the middle twice
            half = (channels + 1) // 2
            ends = ((0, half), (channels - half, channels))
            first, second = (site.emit(SliceChannels(*end), [source], f".of{channels}.{end[0]}") for end in ends)
            source = site.larger(first, second, half, sign, f".of{channels}" if half > 1 else "")
            channels = half
        return source

    return rule


def _negative(site: Site, source: str, channels: int, suffix: str) -> str:
    return site.emit(phases.scaled(channels, -1), [source], suffix)


def _axes(site: Site) -> set[int]:
    """1 for channels, 2 for rows, 3 for columns; all where none are given."""
    given = np.ravel(site.setting("axes", 1, []))
    return {int(axis) % site.rank() for axis in given} - {0} or {1, 2, 3}
