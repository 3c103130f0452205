"""The rules that lower ONNX operators: arithmetic and channels here, what moves pixels in `onnx_pixels`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from sparsr.export.ir.layers import (
    Activation,
    Add,
    ChannelAffine,
    Concat,
    GlobalMax,
    GlobalMean,
    InstanceNorm,
    Mul,
    SliceChannels,
)
from sparsr.export.lower import onnx_pixels as pixels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site
from sparsr.runtime.samples import FloatArray

Rule = Callable[[Site], str]
"""Appends layers and returns the tensor of the node's result."""
_UNBOUNDED = 3e38  # a clip without a bound


def identity(site: Site) -> str:
    """Identity, Cast between floats, Dropout: nothing to compute."""
    return site.map()


def activation(function: str) -> Rule:
    """One of the functions without parameters."""
    return lambda site: site.emit(Activation(function), [site.map()])


def leaky_relu(site: Site) -> str:
    """LeakyRelu: its alpha is 0.01 if not given."""
    return site.emit(Activation("leaky_relu", float(site.attributes.get("alpha", 0.01))), [site.map()])


def prelu(site: Site) -> str:
    """PRelu with one slope, or one for each channel."""
    slopes = per_channel(site, site.weights(1, "slope"))
    return site.emit(Activation("prelu", slopes=slopes), [site.map()])


def clip(site: Site) -> str:
    """Clip; without an upper bound and from 0 it is a relu."""
    low, high = (site.setting(name, index) for name, index in (("min", 1), ("max", 2)))
    low = -_UNBOUNDED if low is None else max(float(low), -_UNBOUNDED)
    high = _UNBOUNDED if high is None else min(float(high), _UNBOUNDED)
    if (low, high) == (0, _UNBOUNDED):
        return site.emit(Activation("relu"), [site.map()])
    return site.emit(Activation("clip", low=low, high=high), [site.map()])


def hard_sigmoid(site: Site) -> str:
    """HardSigmoid: clip(alpha x + beta, 0, 1)."""
    alpha, beta = float(site.attributes.get("alpha", 0.2)), float(site.attributes.get("beta", 0.5))
    line = affine(site, site.map(), alpha, beta, ".line")
    return site.emit(Activation("clip", low=0.0, high=1.0), [line])


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
    shape = (1,) * (4 - values.ndim) + values.shape
    site.require(
        len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1 and shape[1] in (1, channels),
        f"its constant has the shape {values.shape}; one number, or one per channel, is handled",
    )
    return np.broadcast_to(values.reshape(-1), (channels,)).astype(np.float32).copy()


def add(site: Site) -> str:
    """Add: two maps, or a map and a constant."""
    return _sum(site, (1.0, 1.0))


def sub(site: Site) -> str:
    """Sub: two maps, or a map and a constant on either side."""
    return _sum(site, (1.0, -1.0))


def _sum(site: Site, signs: tuple[float, float]) -> str:
    for index in (0, 1):
        if site.is_constant(index):
            constant = signs[index] * per_channel(site, site.weights(index, "constant"))
            return affine(site, site.map(1 - index), signs[1 - index], constant)
    site.require(site.size(0) == site.size(1), "it adds maps of different sizes")
    terms = [_as_wide(site, index) for index in (0, 1)]
    if signs[1] < 0:
        terms[1] = affine(site, terms[1], -1, 0, ".negative")
    return site.emit(Add(), terms)


def mul(site: Site) -> str:
    """Mul: two maps, one of which may be a single pixel, or a map and a constant."""
    for index in (0, 1):
        if site.is_constant(index):
            factor = per_channel(site, site.weights(index, "constant"))
            return affine(site, site.map(1 - index), factor, 0)
    first, second = (0, 1) if site.size(0) == site.probe.size(site.output) else (1, 0)
    single = all(size == (1, 1) for size in site.size(second))
    site.require(single or site.size(first) == site.size(second), "it multiplies maps of different sizes")
    return site.emit(Mul(), [_as_wide(site, first), _as_wide(site, second)])


def div(site: Site) -> str:
    """Div by a constant."""
    divisor = per_channel(site, site.weights(1, "divisor"))
    site.require(bool(divisor.all()), "it divides by 0")
    return affine(site, site.map(), 1 / divisor.astype(np.float64), 0)


def neg(site: Site) -> str:
    """Neg."""
    return affine(site, site.map(), -1, 0)


def power(site: Site) -> str:
    """Pow with the exponent 1 or 2."""
    exponent = float(site.weights(1, "exponent").reshape(-1)[0])
    site.require(exponent in (1, 2), f"its exponent is {exponent:g}; 1 and 2 are handled")
    return site.map() if exponent == 1 else site.emit(Mul(), [site.map()] * 2)


def _as_wide(site: Site, index: int) -> str:
    """An operand with as many channels as the result: a single one is repeated."""
    channels, own = site.probe.channels(site.output), site.channels(index)
    if own == channels:
        return site.map(index)
    site.require(own == 1, f"it joins {own} and {channels} channels")
    return site.emit(phases.channel_map(np.ones((channels, 1))), [site.map(index)], f".wide{index}")


def batch_norm(site: Site) -> str:
    """BatchNormalization, as trained: an affine map."""
    gain, shift, mean, variance = (site.weights(index, "statistics").astype(np.float64) for index in range(1, 5))
    factor = gain / np.sqrt(variance + float(site.attributes.get("epsilon", 1e-5)))
    return affine(site, site.map(), factor.astype(np.float32), (shift - factor * mean).astype(np.float32))


def concat(site: Site) -> str:
    """Concat along the channels."""
    axis = site.attributes["axis"]
    site.require(axis in (1, -3), f"it joins along axis {axis}; only channels (1) are handled")
    sizes = [site.size(index) for index in range(len(site.node.input))]
    site.require(all(size == sizes[0] for size in sizes), "it joins maps of different sizes")
    return site.emit(Concat(), [site.map(index) for index in range(len(site.node.input))])


def split(site: Site) -> str:
    """Split along the channels: every result is a slice of its own."""
    axis = site.attributes.get("axis", 0)
    site.require(axis in (1, -3), f"it splits along axis {axis}; only channels (1) are handled")
    start = 0
    for name in site.node.output:
        stop = start + site.probe.channels(name)
        site.publish(name, SliceChannels(start, stop))
        start = stop
    return site.output


def cut(site: Site) -> str:
    """Slice of channels, rows or columns."""
    starts = [int(value) for value in np.ravel(site.setting("starts", 1))]
    steps = np.ravel(site.setting("steps", 4, [1] * len(starts)))
    axes = [int(axis) % 4 for axis in np.ravel(site.setting("axes", 3, range(len(starts))))]
    site.require(bool((steps == 1).all()), "its steps are not 1")
    if axes == [1]:
        channels = site.channels()
        start = starts[0] if starts[0] >= 0 else channels + starts[0]
        return site.emit(SliceChannels(start, start + site.probe.channels(site.output)), [site.map()])
    return pixels.crop(site, dict(zip(axes, starts, strict=True)))


def mean(site: Site) -> str:
    """ReduceMean over all pixels, or over the channels; its axes stay."""
    axes = {int(axis) % 4 for axis in np.ravel(site.setting("axes", 1, []))}
    if axes == {2, 3}:
        return site.emit(GlobalMean(), [site.map()])
    site.require(bool(site.attributes.get("keepdims", 1)), "it drops its axes")
    site.require(axes == {1}, f"it takes the mean over the axes {sorted(axes)}; (2, 3) and 1 are handled")
    channels = site.channels()
    return site.emit(phases.channel_map(np.full((1, channels), 1 / channels)), [site.map()])


def largest(site: Site) -> str:
    """ReduceMax over all pixels."""
    axes = {int(axis) % 4 for axis in np.ravel(site.setting("axes", 1, []))}
    site.require(axes == {2, 3}, f"it takes the largest over the axes {sorted(axes)}; (2, 3) is handled")
    return site.emit(GlobalMax(), [site.map()])


def gelu(site: Site) -> str:
    """Gelu, exact or by a hyperbolic tangent."""
    approximate = site.attributes.get("approximate", b"none") == b"tanh"
    return site.emit(Activation("gelu_tanh" if approximate else "gelu"), [site.map()])


def instance_norm(site: Site) -> str:
    """InstanceNormalization."""
    gain, shift = (site.weights(index, "statistics") for index in (1, 2))
    epsilon = float(site.attributes.get("epsilon", 1e-5))
    return site.emit(InstanceNorm(gain.copy(), shift.copy(), epsilon), [site.map()])


def one_pixel(site: Site) -> str:
    """Flatten, Reshape, Squeeze, Unsqueeze of a map of one pixel, which stays one."""
    before, after = site.size(), site.probe.size(site.output)
    same = site.channels() == site.probe.channels(site.output) and before == after
    site.require(same and set(before) == {(1, 1)}, "it rearranges a map of more than one pixel in a way not handled")
    return site.map()


def gemm(site: Site) -> str:
    """Gemm of the channels of one pixel and weights."""
    plain = site.attributes.get("alpha", 1.0) == site.attributes.get("beta", 1.0) == 1 and not site.attributes.get(
        "transA"
    )
    site.require(plain, "alpha, beta and transA are not handled")
    weight = site.weights(1, "weight")
    matrix = weight if site.attributes.get("transB") else weight.T
    bias = per_channel(site, site.weights(2, "bias")) if site.has(2) else np.zeros(len(matrix), np.float32)
    return site.emit(replace(phases.channel_map(matrix), bias=bias), [site.map()])


def matmul(site: Site) -> str:
    """MatMul of the channels of one pixel and weights."""
    weight = site.weights(1, "weight")
    site.require(
        site.probe.is_vector(site.node.input[0]) and weight.ndim == 2, "matrix products of maps are not handled"
    )
    return site.emit(phases.channel_map(weight.T), [site.map()])


RULES: dict[str, Rule] = {
    "Add": add,
    "AveragePool": pixels.average_pool,
    "BatchNormalization": batch_norm,
    "Cast": identity,
    "Clip": clip,
    "Concat": concat,
    "Conv": pixels.conv,
    "ConvTranspose": pixels.conv_transpose,
    "DepthToSpace": pixels.depth_to_space,
    "Div": div,
    "Dropout": identity,
    "Flatten": one_pixel,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": lambda site: site.emit(GlobalMean(), [site.map()]),
    "GlobalMaxPool": lambda site: site.emit(GlobalMax(), [site.map()]),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": activation("hardswish"),
    "Identity": identity,
    "InstanceNormalization": instance_norm,
    "LeakyRelu": leaky_relu,
    "MatMul": matmul,
    "MaxPool": pixels.max_pool,
    "Mish": activation("mish"),
    "Mul": mul,
    "Neg": neg,
    "PRelu": prelu,
    "Pad": pixels.pad,
    "Pow": power,
    "ReduceMax": largest,
    "ReduceMean": mean,
    "Relu": activation("relu"),
    "Reshape": one_pixel,
    "Resize": pixels.resize,
    "Sigmoid": activation("sigmoid"),
    "Slice": cut,
    "SpaceToDepth": pixels.space_to_depth,
    "Split": split,
    "Squeeze": one_pixel,
    "Sub": sub,
    "Tanh": activation("tanh"),
    "Unsqueeze": one_pixel,
    "Upsample": pixels.resize,
}
"""Every operator that may compute feature maps. Sizes may be computed by any operator (see `onnx_probe`)."""
