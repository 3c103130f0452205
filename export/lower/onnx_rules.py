"""The rules that lower ONNX operators: arithmetic and channels here, what moves pixels in `onnx_pixels`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.layers import (
    Activation,
    Add,
    Concat,
    GlobalMax,
    GlobalMean,
    Join,
    Mul,
    Part,
    ResizeLike,
    SliceChannels,
)
from sparsr.export.lower import onnx_borders as borders
from sparsr.export.lower import onnx_functions as functions
from sparsr.export.lower import onnx_norms as norms
from sparsr.export.lower import onnx_pixels as pixels
from sparsr.export.lower import onnx_plain_maps as plain_maps
from sparsr.export.lower import onnx_reductions as reductions
from sparsr.export.lower import onnx_slices, phases
from sparsr.export.lower.onnx_counts import operand
from sparsr.export.lower.onnx_functions import UNBOUNDED, Rule
from sparsr.export.lower.onnx_norms import affine, per_channel
from sparsr.export.lower.onnx_resize import resize
from sparsr.export.lower.onnx_scatter import scatter
from sparsr.export.lower.onnx_site import Site


def identity(site: Site) -> str:
    """Identity, Dropout: nothing to compute."""
    return site.map()


def cast(site: Site) -> str:
    """Cast between floats and truth values, which are 1 or 0."""
    before, after = (site.probe.values[name][0].dtype.kind for name in (site.node.input[0], site.output))
    if before == "f" and after == "b":
        side = site.emit(Activation("sign"), [site.map()], ".side")
        return site.emit(Mul(), [side, side])
    return site.map()


def add(site: Site) -> str:
    """Add: two maps, or a map and a constant."""
    return _sum(site, (1.0, 1.0))


def sub(site: Site) -> str:
    """Sub: two maps, or a map and a constant on either side."""
    return _sum(site, (1.0, -1.0))


def _sum(site: Site, signs: tuple[float, float], suffix: str = "") -> str:
    for index in (0, 1):
        if site.is_constant(index):
            constant = signs[index] * per_channel(site, site.weights(index, "constant"))
            source = _as_wide(site, 1 - index)
            return affine(site, source, signs[1 - index], constant, suffix)
    terms = [_spread(site, index) for index in (0, 1)]
    for index in (0, 1):
        if signs[index] < 0:
            terms[index] = affine(site, terms[index], -1, 0, f"{suffix}.negative")
    return site.emit(Add(), terms, suffix)


def mul(site: Site) -> str:
    """Mul: two maps, one of which may be a single pixel, or a map and a constant."""
    for index in (0, 1):
        if site.is_constant(index):
            factor = per_channel(site, site.weights(index, "constant"))
            return affine(site, _as_wide(site, 1 - index), factor, 0)
    return _product(site, [operand(site, 0), operand(site, 1)])


def _product(site: Site, operands: list[str]) -> str:
    """Of what the operands are, or have become."""
    size = site.probe.size(site.output)
    first, second = (0, 1) if site.size(0) == size else (1, 0)
    if site.size(first) == size and set(site.size(second)) == {(1, 1)}:
        return site.emit(Mul(), [_as_wide(site, index, operands[index]) for index in (first, second)])
    return site.emit(Mul(), [_spread(site, index, operands[index]) for index in (0, 1)])


def div(site: Site) -> str:
    """Div: two maps, or a map and a constant on either side."""
    if site.is_constant(1):
        divisor = per_channel(site, site.weights(1, "divisor"))
        site.require(bool(divisor.all()), "it divides by 0")
        return affine(site, site.map(), 1 / divisor.astype(np.float64), 0)
    inverse = site.emit(Activation("reciprocal"), [operand(site, 1)], ".inverse")
    if site.is_constant(0):
        return affine(site, inverse, per_channel(site, site.weights(0, "constant")), 0)
    return _product(site, [operand(site, 0), inverse])


def _as_wide(site: Site, index: int, source: str = "") -> str:
    """An operand, or what it has become, with as many channels as the result: a single one is repeated."""
    channels, own, source = site.probe.channels(site.output), site.channels(index), source or operand(site, index)
    if own == channels:
        return source
    site.require(own == 1, f"it joins {own} and {channels} channels")
    return site.emit(phases.channel_map(np.ones((channels, 1))), [source], f".wide{index}")


def _spread(site: Site, index: int, source: str = "") -> str:
    """The same with as many pixels as the result, too: a single one, row or column is repeated."""
    wide, size, own = _as_wide(site, index, source), site.probe.size(site.output), site.size(index)
    if own == size:
        return wide
    single = all(side in (1, whole) for pair in zip(own, size, strict=True) for side, whole in zip(*pair, strict=True))
    others = [name for name in site.node.input if site.probe.size(name) == size]
    like = site.map_called(others[0]) if others else site.same_size_map(size)
    if like is None or not single:
        site.refuse("it joins maps of different sizes")
    return site.emit(ResizeLike("linear" if set(own) == {(1, 1)} else "nearest"), [wide, like], f".spread{index}")


def extreme(sign: float) -> Rule:
    """Max (1) or Min (-1) of a map and a constant, or of two maps."""

    def rule(site: Site) -> str:
        site.require(len(site.node.input) == 2, f"it has {len(site.node.input)} operands; two are handled")
        constant = next((index for index in (0, 1) if site.is_constant(index)), None)
        if constant is None:
            return site.larger(_spread(site, 0), _spread(site, 1), site.probe.channels(site.output), sign)
        bound, source = per_channel(site, site.weights(constant, "bound")), site.map(1 - constant)
        if (bound == bound[0]).all():
            low, high = (float(bound[0]), UNBOUNDED) if sign > 0 else (-UNBOUNDED, float(bound[0]))
            return site.emit(Activation("clip", low=low, high=high), [source])
        beyond = affine(site, source, sign, -sign * bound, ".beyond")
        return affine(site, site.emit(Activation("relu"), [beyond], ".relu"), sign, bound)

    return rule


def compared(sign: float, strict: bool) -> Rule:
    """Greater (1) or Less (-1) of maps or a map and a constant, or equal unless `strict`: 1 where it holds, else 0."""

    def rule(site: Site) -> str:
        sign_here = sign if strict else -sign
        difference = _sum(site, (sign_here, -sign_here), ".difference")
        side = site.emit(Activation("sign"), [difference], ".side")
        if strict:
            return site.emit(Activation("relu"), [side])
        return affine(site, site.emit(Activation("relu"), [side], ".beyond"), -1, 1)

    return rule


def equal(site: Site) -> str:
    """Equal of maps, or of a map and a constant: 1 where it holds, else 0."""
    side = site.emit(Activation("sign"), [_sum(site, (1.0, -1.0), ".difference")], ".side")
    return affine(site, site.emit(Mul(), [side, side], ".other"), -1, 1)


def where(site: Site) -> str:
    """Where a condition holds the one, elsewhere the other; each is taken times 1 or 0."""
    site.require(not site.is_constant(0), "its condition is constant")
    condition = _spread(site, 0)
    terms = []
    for index, share in ((1, condition), (2, affine(site, condition, -1, 1, ".otherwise"))):
        if site.is_constant(index):
            values = per_channel(site, site.weights(index, "constant"))
            terms.append(affine(site, share, values, 0, f".term{index}"))
        else:
            terms.append(site.emit(Mul(), [_spread(site, index), share], f".term{index}"))
    return site.emit(Add(), terms)


def total(site: Site) -> str:
    """Sum of any number of maps."""
    result, *others = [_spread(site, index) for index in range(len(site.node.input))]
    for number, other in enumerate(others, 1):
        result = site.emit(Add(), [result, other], "" if number == len(others) else f".{number}")
    return result


def concat(site: Site) -> str:
    """Concat along the channels; of rows and columns, of maps of one size."""
    axis = int(site.attributes["axis"]) % site.rank()
    site.require(axis > 0, "it joins batches")
    maps = [index for index in range(len(site.node.input)) if not site.is_constant(index)]
    sizes = [site.size(index) for index in maps]
    site.require(all(size == sizes[0] for size in sizes), "it joins maps of different sizes")
    return site.emit(Join(axis - 2) if axis > 1 else Concat(), plain_maps.operands(site))


def split(site: Site) -> str:
    """Split along the channels: every result is a slice of its own; of rows and columns, into equal parts."""
    axis, results = int(site.attributes.get("axis", 0)) % site.rank(), site.node.output
    site.require(axis > 0, "it splits batches")
    if axis > 1:
        sizes = [site.probe.size(name) for name in results]
        site.require(all(size == sizes[0] for size in sizes), "its parts have different sizes")
        for index, name in enumerate(results):
            site.publish(name, Part(axis - 2, index, len(results)))
        return site.output
    start = 0
    for name in results:
        stop = start + site.probe.channels(name)
        site.publish(name, SliceChannels(start, stop))
        start = stop
    return site.output


def one_pixel(site: Site) -> str:
    """Flatten, Reshape, Squeeze, Unsqueeze of a map of one pixel, which stays one."""
    before, after = site.size(), site.probe.size(site.output)
    same = site.channels() == site.probe.channels(site.output) and before == after
    if not same or set(before) != {(1, 1)}:
        site.refuse_products(before=False)
        site.refuse("it rearranges a map of more than one pixel in a way not handled")
    return site.map()


def unsqueezed(site: Site) -> str:
    """Unsqueeze of one pixel, or of channels that were reduced to one without their axis."""
    inner = site.producing(site.node.input[0])
    if inner and inner.node.op_type.startswith("Reduce") and not site.probe.is_map(inner.output):
        same = site.probe.channels(site.output) == 1 and site.probe.size(site.output) == inner.size()
        site.require(same, "it gives back another axis than was taken")
        return RULES[inner.node.op_type](inner)
    return one_pixel(site)


def transposed(site: Site) -> str:
    """Transpose of one pixel, or behind a ScatterND. Those around channels last are gone: `onnx_layout`."""
    inner = site.producer(site.node.input[0])
    if inner is not None and inner.op_type == "ScatterND":
        return scatter(site)
    if not site.probe.is_vector(site.output):
        site.refuse_products(before=False)
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
    "Abs": functions.absolute,
    "Add": add,
    "And": mul,
    "AveragePool": pixels.average_pool,
    "BatchNormalization": norms.batch_norm,
    "Cast": cast,
    "Ceil": functions.activation("ceil"),
    "Celu": functions.celu,
    "Clip": functions.clip,
    "Concat": concat,
    "Conv": pixels.conv,
    "ConvTranspose": pixels.conv_transpose,
    "DepthToSpace": pixels.depth_to_space,
    "Cos": functions.activation("cos"),
    "Div": div,
    "Dropout": identity,
    "Elu": functions.elu,
    "Exp": functions.activation("exp"),
    "Equal": equal,
    "Expand": pixels.expand,
    "Flatten": one_pixel,
    "Floor": functions.activation("floor"),
    "Gelu": functions.gelu,
    "Gemm": gemm,
    "GlobalAveragePool": lambda site: site.emit(GlobalMean(), [site.map()]),
    "GlobalMaxPool": lambda site: site.emit(GlobalMax(), [site.map()]),
    "Greater": compared(1, strict=True),
    "GreaterOrEqual": compared(1, strict=False),
    "HardSigmoid": functions.hard_sigmoid,
    "HardSwish": functions.activation("hardswish"),
    "Identity": identity,
    "GroupNormalization": norms.group_norm,
    "InstanceNormalization": norms.instance_norm,
    "LeakyRelu": functions.leaky_relu,
    "Less": compared(-1, strict=True),
    "LessOrEqual": compared(-1, strict=False),
    "Log": functions.activation("log"),
    "MatMul": matmul,
    "Max": extreme(1),
    "MaxPool": pixels.max_pool,
    "Min": extreme(-1),
    "Mish": functions.activation("mish"),
    "Mul": mul,
    "Neg": functions.neg,
    "Not": lambda site: affine(site, site.map(), -1, 1),
    "Or": extreme(1),
    "PRelu": functions.prelu,
    "Pad": borders.pad,
    "Pow": functions.power,
    "Reciprocal": functions.activation("reciprocal"),
    "ReduceL1": reductions.norm(1),
    "ReduceL2": reductions.norm(2),
    "ReduceMax": reductions.extreme(1),
    "ReduceMean": reductions.mean,
    "ReduceMin": reductions.extreme(-1),
    "ReduceSum": reductions.total,
    "ReduceSumSquare": reductions.square_sum,
    "Relu": functions.activation("relu"),
    "Reshape": one_pixel,
    "Resize": resize,
    "ScatterND": scatter,
    "Round": functions.activation("round"),
    "Selu": functions.selu,
    "Sigmoid": functions.activation("sigmoid"),
    "Sign": functions.activation("sign"),
    "Sin": functions.activation("sin"),
    "Slice": onnx_slices.cut,
    "Softmax": reductions.softmax,
    "Softplus": functions.activation("softplus"),
    "Softsign": functions.activation("softsign"),
    "SpaceToDepth": pixels.space_to_depth,
    "Split": split,
    "Sqrt": functions.activation("sqrt"),
    "Squeeze": one_pixel,
    "Sub": sub,
    "Sum": total,
    "Tanh": functions.activation("tanh"),
    "Transpose": transposed,
    "Unsqueeze": unsqueezed,
    "Upsample": resize,
    "Where": where,
}
"""Every operator that may compute feature maps. Sizes may be computed by any operator (see `onnx_probe`)."""
