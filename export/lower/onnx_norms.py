"""The rules that lower affine maps per channel and normalisations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sparsr.export.ir.layers import ChannelAffine, InstanceNorm
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site
from sparsr.runtime.samples import FloatArray


def affine(site: Site, source: str, factor: ArrayLike, offset: ArrayLike, suffix: str = "") -> str:
    """factor x + offset, each one number or one per channel of the node's result."""
    channels = site.probe.channels(site.output)
    both = (np.broadcast_to(np.asarray(values, np.float32), (channels,)).copy() for values in (factor, offset))
    return site.emit(ChannelAffine(*both), [source], suffix)


def per_channel(site: Site, values: FloatArray) -> FloatArray:
    """A constant operand, broadcast as ONNX does, as one number per channel of the result."""
    channels = site.probe.channels(site.output)
    if site.probe.is_vector(site.output):
        values = values.reshape(1, -1, 1, 1)
    if values.ndim == 4 and (values == values[:, :, :1, :1]).all():  # a file for one size may hold whole maps
        values = values[:, :, :1, :1]
    shape = (1,) * (4 - values.ndim) + values.shape
    site.require(
        len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1 and shape[1] in (1, channels),
        f"its constant has the shape {values.shape}; one number, or one per channel, is handled",
    )
    return np.broadcast_to(values.reshape(-1), (channels,)).astype(np.float32).copy()


def batch_norm(site: Site) -> str:
    """BatchNormalization, as trained: an affine map."""
    gain, shift, mean, variance = (site.weights(index, "statistics").astype(np.float64) for index in range(1, 5))
    factor = gain / np.sqrt(variance + float(site.attributes.get("epsilon", 1e-5)))
    return affine(site, site.map(), factor.astype(np.float32), (shift - factor * mean).astype(np.float32))


def instance_norm(site: Site) -> str:
    """InstanceNormalization."""
    gain, shift = (site.weights(index, "statistics") for index in (1, 2))
    epsilon = float(site.attributes.get("epsilon", 1e-5))
    return site.emit(InstanceNorm(gain.copy(), shift.copy(), epsilon), [site.map()])


def group_norm(site: Site) -> str:
    """GroupNormalization; its statistics are one a group before opset 21, one a channel from it on."""
    groups, channels = int(site.attributes["num_groups"]), site.channels()
    gain, shift = (site.weights(index, "statistics") for index in (1, 2))
    gain, shift = (np.repeat(values, channels // len(values)) for values in (gain, shift))
    steps = phases.group_norm(gain, shift, groups, float(site.attributes.get("epsilon", 1e-5)))
    site.require(steps is not None, f"groups of {channels // groups} channels are not handled")
    return site.chain(steps or [], site.map())
