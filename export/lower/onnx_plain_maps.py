"""Maps that hold the same numbers whatever the image shows: noise levels beside it, ones, zeros to write into."""

from __future__ import annotations

import numpy as np

from sparsr.export.ir.layers import ChannelAffine, GlobalMean, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site
from sparsr.runtime.samples import FloatArray


def operands(site: Site) -> list[str]:
    """The tensors of a node's operands, those that the file holds as maps of one number a channel among them."""
    return [
        _stored(site, index) if site.is_constant(index) else site.map(index) for index in range(len(site.node.input))
    ]


def _stored(site: Site, index: int) -> str:
    values, other = (
        site.weights(index, "constant"),
        next(i for i in range(len(site.node.input)) if not site.is_constant(i)),
    )
    site.require(
        values.ndim == 4 and [values.shape[2:]] == site.size(other), "its constant is no map of its other's size"
    )
    numbers = values[0, :, 0, 0]
    site.require(bool((values[0] == numbers[:, None, None]).all()), "its constant differs from pixel to pixel")
    return _filled(site, site.map(other), numbers, f".stored{index}")


def plain_map(site: Site) -> str:
    """The layers for a map of one number a channel, as large as another map or the image enlarged."""
    values = site.probe.values[site.output]
    numbers = values[0].reshape(values[0].shape[1], -1)[:, 0].astype(np.float32)
    same = all((value.reshape(len(numbers), -1) == numbers[:, None]).all() for value in values)
    site.require(same, "the numbers that it makes of sizes or places differ from pixel to pixel or size to size")
    size = site.probe.size(site.output)
    like = site.map_called(site.probe.image) if set(size) == {(1, 1)} else site.like(size)
    if like is None:
        site.refuse("it makes a map of a size that no other map has")
    if set(size) == {(1, 1)}:
        like = site.emit(GlobalMean(), [like], ".pixel")
    return _filled(site, like, numbers)


def _filled(site: Site, like: str, numbers: FloatArray, suffix: str = "") -> str:
    """A map as large as another."""
    source = site.emit(SliceChannels(0, 1), [like], f"{suffix}.first")
    if len(numbers) > 1:
        source = site.emit(phases.channel_map(np.ones((len(numbers), 1))), [source], f"{suffix}.wide")
    return site.emit(ChannelAffine(np.zeros_like(numbers), numbers), [source], suffix)
