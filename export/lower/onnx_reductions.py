"""The rules that lower ONNX operators which sum up pixels or channels."""

from __future__ import annotations

import numpy as np

from sparsr.export.ir.layers import Activation, ChannelSoftmax, GlobalMax, GlobalMean, Mul, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_counts import pixel_sum
from sparsr.export.lower.onnx_functions import Rule
from sparsr.export.lower.onnx_site import Site

_PIXELS = {2, 3}


def mean(site: Site) -> str:
    """ReduceMean over all pixels, over the channels, or both."""
    axes = _axes(site)
    if axes == _PIXELS:
        return site.emit(GlobalMean(), [site.map()])
    source = site.emit(GlobalMean(), [site.map()], ".pixels") if axes == {1, *_PIXELS} else site.map()
    _require_channels(site, axes - _PIXELS if axes > _PIXELS else axes)
    channels = site.channels()
    return site.emit(phases.channel_map(np.full((1, channels), 1 / channels)), [source])


def total(site: Site) -> str:
    """ReduceSum over the channels or over all pixels."""
    return _summed(site, site.map())


def _summed(site: Site, source: str, suffix: str = "") -> str:
    if _axes(site) == _PIXELS:
        return pixel_sum(site, source, suffix)
    _require_channels(site, _axes(site))
    return site.emit(phases.channel_map(np.ones((1, site.channels()))), [source], suffix)


def norm(power: int) -> Rule:
    """ReduceL1 (1), ReduceL2 (2) over the channels or over all pixels."""

    def rule(site: Site) -> str:
        if power == 1:
            slopes = np.full(site.channels(), -1, np.float32)
            return _summed(site, site.emit(Activation("prelu", slopes=slopes), [site.map()], ".sizes"))
        return site.emit(Activation("sqrt"), [square_sum(site, ".sum")])

    return rule


def square_sum(site: Site, suffix: str = "") -> str:
    """ReduceSumSquare over the channels or over all pixels."""
    return _summed(site, site.emit(Mul(), [site.map()] * 2, ".squares"), suffix)


def softmax(site: Site) -> str:
    """Softmax over the channels."""
    axis = int(site.attributes.get("axis", -1)) % site.rank()
    site.require(axis == 1, f"it works over axis {axis}; only channels (1) are handled")
    return site.emit(ChannelSoftmax(), [site.map()])


def extreme(sign: float) -> Rule:
    """ReduceMax (1) over all pixels or over the channels, ReduceMin (-1) over the channels."""

    def rule(site: Site) -> str:
        if sign > 0 and _axes(site) == _PIXELS:
            return site.emit(GlobalMax(), [site.map()])
        _require_channels(site, _axes(site))
        source, channels = site.map(), site.channels()
        while channels > 1:  # the first half beside the second; of an odd number the one in the middle twice
            half = (channels + 1) // 2
            ends = ((0, half), (channels - half, channels))
            first, second = (site.emit(SliceChannels(*end), [source], f".of{channels}.{end[0]}") for end in ends)
            source = site.larger(first, second, half, sign, f".of{channels}" if half > 1 else "")
            channels = half
        return source

    return rule


def _axes(site: Site) -> set[int]:
    return {int(axis) % 4 for axis in np.ravel(site.setting("axes", 1, []))}


def _require_channels(site: Site, axes: set[int]) -> None:
    site.require(axes == {1}, f"it works over the axes {sorted(axes)}; 1 is handled")
