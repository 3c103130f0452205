"""The rules that lower ONNX operators: arithmetic and channels here, what moves pixels in `onnx_pixels`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sparsr.export.ir.layers import (
    Activation,
    Add,
    Concat,
    GlobalMax,
    GlobalMean,
    Mul,
    ResizeLike,
    SliceChannels,
)
from sparsr.export.lower import onnx_norms as norms
from sparsr.export.lower import onnx_pixels as pixels
from sparsr.export.lower import onnx_slices, phases
from sparsr.export.lower.onnx_norms import affine, per_channel
from sparsr.export.lower.onnx_site import Site

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
    terms = [_spread(site, index) for index in (0, 1)]
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


def _spread(site: Site, index: int) -> str:
    """The same with as many pixels as the result, too: a single one is repeated."""
    wide, size = _as_wide(site, index), site.probe.size(site.output)
    if site.size(index) == size:
        return wide
    like = site.node.input[1 - index]
    good = set(site.size(index)) == {(1, 1)} and site.probe.size(like) == size
    site.require(good, "it joins maps of different sizes")
    return site.emit(ResizeLike(), [wide, site.map_called(like)], f".spread{index}")


def extreme(sign: float) -> Rule:
    """Max (1) or Min (-1) of a map and a constant, or of two maps."""

    def rule(site: Site) -> str:
        site.require(len(site.node.input) == 2, f"it has {len(site.node.input)} operands; two are handled")
        constant = next((index for index in (0, 1) if site.is_constant(index)), None)
        if constant is None:
            return site.larger(_spread(site, 0), _spread(site, 1), site.probe.channels(site.output), sign)
        bound, source = per_channel(site, site.weights(constant, "bound")), site.map(1 - constant)
        if (bound == bound[0]).all():
            low, high = (float(bound[0]), _UNBOUNDED) if sign > 0 else (-_UNBOUNDED, float(bound[0]))
            return site.emit(Activation("clip", low=low, high=high), [source])
        beyond = affine(site, source, sign, -sign * bound, ".beyond")
        return affine(site, site.emit(Activation("relu"), [beyond], ".relu"), sign, bound)

    return rule


def absolute(site: Site) -> str:
    """Abs: negative values times -1."""
    slopes = np.full(site.probe.channels(site.output), -1, np.float32)
    return site.emit(Activation("prelu", slopes=slopes), [site.map()])


def total(site: Site) -> str:
    """Sum of any number of maps."""
    result, *others = [_spread(site, index) for index in range(len(site.node.input))]
    for number, other in enumerate(others, 1):
        result = site.emit(Add(), [result, other], "" if number == len(others) else f".{number}")
    return result


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


def mean(site: Site) -> str:
    """ReduceMean over all pixels, or over the channels; its axes stay."""
    if _axes(site) == {2, 3}:
        return site.emit(GlobalMean(), [site.map()])
    _require_channels(site)
    channels = site.channels()
    return site.emit(phases.channel_map(np.full((1, channels), 1 / channels)), [site.map()])


def channel_sum(site: Site) -> str:
    """ReduceSum over the channels; its axis stays."""
    _require_channels(site)
    return site.emit(phases.channel_map(np.ones((1, site.channels()))), [site.map()])


def reduced_extreme(sign: float) -> Rule:
    """ReduceMax (1) over all pixels or over the channels, ReduceMin (-1) over the channels."""

    def rule(site: Site) -> str:
        if sign > 0 and _axes(site) == {2, 3}:
            return site.emit(GlobalMax(), [site.map()])
        _require_channels(site)
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


def _require_channels(site: Site) -> None:
    site.require(bool(site.attributes.get("keepdims", 1)), "it drops its axes")
    site.require(_axes(site) == {1}, f"it works over the axes {sorted(_axes(site))}; 1 is handled")


def gelu(site: Site) -> str:
    """Gelu, exact or by a hyperbolic tangent."""
    approximate = site.attributes.get("approximate", b"none") == b"tanh"
    return site.emit(Activation("gelu_tanh" if approximate else "gelu"), [site.map()])


def one_pixel(site: Site) -> str:
    """Flatten, Reshape, Squeeze, Unsqueeze of a map of one pixel, which stays one."""
    before, after = site.size(), site.probe.size(site.output)
    same = site.channels() == site.probe.channels(site.output) and before == after
    site.require(same and set(before) == {(1, 1)}, "it rearranges a map of more than one pixel in a way not handled")
    return site.map()


def transposed(site: Site) -> str:
    """Transpose of one pixel. Pairs around what works on channels last are gone: `onnx_layout`, `onnx_moves`."""
    if not site.probe.is_vector(site.output):
        (site.first_without_twin() or site).refuse("with channels last, or axes exchanged, it is not handled")
    return one_pixel(site)


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
    "Abs": absolute,
    "Add": add,
    "AveragePool": pixels.average_pool,
    "BatchNormalization": norms.batch_norm,
    "Cast": identity,
    "Clip": clip,
    "Concat": concat,
    "Conv": pixels.conv,
    "ConvTranspose": pixels.conv_transpose,
    "DepthToSpace": pixels.depth_to_space,
    "Div": div,
    "Dropout": identity,
    "Expand": pixels.expand,
    "Flatten": one_pixel,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": lambda site: site.emit(GlobalMean(), [site.map()]),
    "GlobalMaxPool": lambda site: site.emit(GlobalMax(), [site.map()]),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": activation("hardswish"),
    "Identity": identity,
    "GroupNormalization": norms.group_norm,
    "InstanceNormalization": norms.instance_norm,
    "LeakyRelu": leaky_relu,
    "MatMul": matmul,
    "Max": extreme(1),
    "MaxPool": pixels.max_pool,
    "Min": extreme(-1),
    "Mish": activation("mish"),
    "Mul": mul,
    "Neg": neg,
    "PRelu": prelu,
    "Pad": pixels.pad,
    "Pow": power,
    "ReduceMax": reduced_extreme(1),
    "ReduceMean": mean,
    "ReduceMin": reduced_extreme(-1),
    "ReduceSum": channel_sum,
    "Relu": activation("relu"),
    "Reshape": one_pixel,
    "Resize": pixels.resize,
    "Sigmoid": activation("sigmoid"),
    "Slice": onnx_slices.cut,
    "SpaceToDepth": pixels.space_to_depth,
    "Split": split,
    "Squeeze": one_pixel,
    "Sub": sub,
    "Sum": total,
    "Tanh": activation("tanh"),
    "Transpose": transposed,
    "Unsqueeze": one_pixel,
    "Upsample": pixels.resize,
}
"""Every operator that may compute feature maps. Sizes may be computed by any operator (see `onnx_probe`)."""
