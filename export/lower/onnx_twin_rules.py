"""What operators say of the channels of a map whose tensor has other axes: rules give the twins of their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sparsr.export.lower.onnx_axes import Axis, Indices, Twin, regrouped
from sparsr.export.lower.onnx_twin_site import NoTwin, TwinSite, named

POINTWISE = frozenset(
    [
        "Abs", "Add", "Cast", "Ceil", "Celu", "Clip", "Cos", "Div", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu",
        "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow",
        "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum",
        "Tanh",
    ]
)  # fmt: skip
_PIXELS: dict[Axis, list[int]] = {"rows": [2], "columns": [3], "pixels": [2, 3]}
_LONGEST_PART = 64  # of a softmax or a maximum over parts of the channels


def reshaped(site: TwinSite) -> list[Twin]:
    """Reshape, Flatten, Squeeze, Unsqueeze: the same values in the same order."""
    twin = site.first
    axes = regrouped(twin, site.shapes(site.node.output[0]))
    if axes is None:
        raise NoTwin
    return [twin.like(axes)]


def transposed(site: TwinSite) -> list[Twin]:
    """Transpose: channels may come in another order."""
    twin = site.first
    order = next((list(e.ints) for e in site.node.attribute if e.name == "perm"), list(range(len(twin.axes)))[::-1])
    axes = [twin.axes[axis] for axis in order]
    parts = [twin.place(axis) for axis in order if isinstance(twin.axes[axis], int)]
    return [named(twin, site.picked(twin, twin.numbered().transpose(parts)), axes)]


def expanded(site: TwinSite) -> list[Twin]:
    """Expand: channels may be repeated, pixels not."""
    twin, shapes = site.first, site.shapes(site.node.output[0])
    own = (*[1] * (len(shapes[0]) - len(twin.axes)), *twin.axes)
    axes = [side if axis == 1 else axis for side, axis in zip(shapes[0], own, strict=True)]
    parts = [axis for axis in axes if isinstance(axis, int)]
    if any(side != shapes[0][place] for shape in shapes for place, side in enumerate(shape) if own[place] == 1):
        raise NoTwin
    mine = [axis for axis in own if isinstance(axis, int)]
    indices = np.broadcast_to(np.arange(twin.channels).reshape(mine), parts)
    return [named(twin, site.picked(twin, indices), axes)]


def pointwise(site: TwinSite) -> list[Twin]:
    """One value by one of each operand."""
    whole = site.node.op_type not in ("Clip", "Dropout", "Cast")
    count = len(site.node.input) if whole else 1
    axes = _common_axes(site, site.operands[:count])
    parts = tuple(axis for axis in axes if isinstance(axis, int))
    inputs = [_aligned(site, index, site.operands[index], axes, parts) for index in range(count)]
    kept = site.attributes
    name = site.emit(site.node.op_type, [*inputs, *site.node.input[count:]], **kept)
    sizes = [twin.size for twin in site.operands if twin]
    size = tuple((max(s[0] for s in each), max(s[1] for s in each)) for each in zip(*sizes, strict=True))
    return [Twin(name, axes, size)]


def _common_axes(site: TwinSite, operands: Sequence[Twin | None]) -> tuple[Axis, ...]:
    """Those of the result, as ONNX broadcasts."""
    all_axes: list[tuple[Axis, ...]] = []
    for name, twin in zip(site.node.input, operands, strict=False):
        value = site.constants.get(name)
        all_axes.append(twin.axes if twin else value.shape if value is not None else ())
    rank = max(map(len, all_axes))
    found: list[Axis] = []
    for sides in zip(*((*[1] * (rank - len(axes)), *axes) for axes in all_axes), strict=True):
        several = {side for side in sides if side != 1}
        if len(several) > 1:
            raise NoTwin
        found.append(several.pop() if several else 1)
    return tuple(found)


def _aligned(site: TwinSite, index: int, twin: Twin | None, axes: tuple[Axis, ...], parts: tuple[int, ...]) -> str:
    """An operand with as many channels as the result has, or one."""
    name = site.node.input[index]
    if twin is None:
        value = site.constants.get(name)
        if value is None:
            if any(array.size != 1 for array in site.values[name]):
                raise NoTwin
            return name
        if value.size == 1:
            return name
        value = value.reshape((1,) * (len(axes) - value.ndim) + value.shape)
        own = [side for side, axis in zip(value.shape, axes, strict=True) if isinstance(axis, int)]
        wide = np.broadcast_to(value.reshape(own), parts).reshape(1, -1, 1, 1)
        return site.stored(wide)
    own_axes = (*[1] * (len(axes) - len(twin.axes)), *twin.axes)
    own = [
        side if isinstance(side, int) else 1 for side, axis in zip(own_axes, axes, strict=True) if isinstance(axis, int)
    ]
    if twin.channels == 1:
        return twin.name
    return site.picked(twin, np.broadcast_to(np.arange(twin.channels).reshape(own), parts))


def reduced(site: TwinSite) -> list[Twin]:
    """Sums, means and largest values over some axes."""
    twin = site.first
    over, name, kind = _reduced_axes(site, twin), twin.name, site.node.op_type
    parts = {axis: side for axis in over if isinstance(side := twin.axes[axis], int) and side != 1}
    if parts and math.prod(parts.values()) != twin.channels:
        name = _reduced_parts(site, twin, parts)
        parts = {}
    rest = [1] if parts else []
    rest += [place for axis in over for place in _PIXELS.get(twin.axes[axis], [])]
    if rest:
        given = site.opset < (13 if kind == "ReduceSum" else 18)
        axes = {"axes": rest} if given else {}
        operand = [] if given else [site.stored(np.array(rest, np.int64))]
        name = site.emit(kind, [name, *operand], keepdims=1, **axes)
    keep = site.attributes.get("keepdims", 1)
    places = [place for place in range(len(twin.axes)) if keep or place not in over]
    left: list[Axis] = [1 if place in over else twin.axes[place] for place in places]
    size = tuple((1 if 2 in rest else height, 1 if 3 in rest else width) for height, width in twin.size)
    return [Twin(name, tuple(left), size)]


def _reduced_axes(site: TwinSite, twin: Twin) -> list[int]:
    given = site.attributes.get("axes")
    if given is None and len(site.node.input) > 1 and site.node.input[1]:
        given = np.ravel(site.constants[site.node.input[1]]).tolist()
    rank = len(twin.axes)
    return sorted(int(axis) % rank for axis in given) if given else list(range(rank))


def _reduced_parts(site: TwinSite, twin: Twin, parts: Mapping[int, int]) -> str:
    """Over some of several axes of channels, given with their sides."""
    places = tuple(twin.place(axis) for axis in parts)
    columns = np.moveaxis(twin.numbered(), places, range(-len(places), 0)).reshape(-1, math.prod(parts.values()))
    if site.node.op_type in ("ReduceMean", "ReduceSum"):
        matrix = np.zeros((len(columns), twin.channels))
        matrix[np.arange(len(columns))[:, None], columns] = 1 / columns.shape[1] if "Mean" in site.node.op_type else 1
        return site.mixed(twin.name, matrix)
    if site.node.op_type not in ("ReduceMax", "ReduceMin"):
        raise NoTwin
    return site.folded(site.node.op_type.removeprefix("Reduce"), _several(site, twin, columns))


def _several(site: TwinSite, twin: Twin, columns: Indices) -> list[str]:
    """A map for every column of channel numbers."""
    if columns.shape[1] > _LONGEST_PART:
        raise NoTwin
    return [site.picked(twin, column) for column in columns.T]


def softmax(site: TwinSite) -> list[Twin]:
    """Over the channels, or over one of several axes of them."""
    twin = site.first
    axis = site.axis(twin)
    if not isinstance(twin.axes[axis], int):
        raise NoTwin
    if twin.axes[axis] == twin.channels:
        return [named(twin, site.emit("Softmax", [twin.name], axis=1), twin.axes)]
    columns = np.moveaxis(twin.numbered(), twin.place(axis), -1)
    order = columns.reshape(-1, columns.shape[-1])
    parts = _several(site, twin, order)
    largest = site.folded("Max", parts)
    powers = [site.emit("Exp", [site.emit("Sub", [part, largest])]) for part in parts]
    share = site.emit("Reciprocal", [site.folded("Add", powers)])
    shares = [site.emit("Mul", [power, share]) for power in powers]
    whole = twin.like((twin.channels,))
    joined = Twin(site.emit("Concat", shares, axis=1), whole.axes, twin.size)
    return [named(twin, site.picked(joined, np.argsort(order.T.ravel())), twin.axes)]


def layer_norm(site: TwinSite) -> list[Twin]:
    """Over the channels, between transpositions, as it is recognised."""
    twin = site.first
    if site.axis(twin) != len(twin.axes) - 1 or twin.axes[-1] != twin.channels:
        raise NoTwin
    epsilon = {entry.name: entry.f for entry in site.node.attribute if entry.name == "epsilon"}
    last = site.emit("Transpose", [twin.name], perm=[0, 2, 3, 1])
    normed = site.emit("LayerNormalization", [last, *site.node.input[1:]], axis=-1, **epsilon)
    return [named(twin, site.emit("Transpose", [normed], perm=[0, 3, 1, 2]), twin.axes)]


def product(site: TwinSite) -> list[Twin]:
    """MatMul and Gemm of the last axis and weights."""
    twin, weight = site.operands[0], site.constants.get(site.node.input[1])
    options = site.attributes
    if twin is None or weight is None or weight.ndim != 2 or options.get("transA"):
        raise NoTwin
    matrix = weight if options.get("transB") else weight.T
    if twin.axes[-1] != matrix.shape[1] or options.get("alpha", 1.0) != 1 or options.get("beta", 1.0) != 1:
        raise NoTwin
    before = int(np.prod(twin.parts[:-1]))
    bias = [site.stored(np.tile(site.constants[name].ravel(), before)) for name in site.node.input[2:]]
    mixed = site.mixed(twin.name, np.kron(np.eye(before), matrix), *bias)
    return [named(twin, mixed, (*twin.axes[:-1], len(matrix)))]


def joined(site: TwinSite) -> list[Twin]:
    """Concat along channels."""
    twins = [twin for twin in site.operands if twin is not None]
    axis = site.axis(twins[0])
    around = {(*twin.axes[:axis], *twin.axes[axis + 1 :]) for twin in twins}
    if len(twins) < len(site.operands) or len(around) > 1 or not all(isinstance(t.axes[axis], int) for t in twins):
        raise NoTwin
    starts = np.cumsum([0, *(twin.channels for twin in twins)])
    numbers = [start + twin.numbered() for start, twin in zip(starts, twins, strict=False)]
    order = np.concatenate(numbers, axis=twins[0].place(axis))
    name = site.emit("Concat", [twin.name for twin in twins], axis=1)
    axes = list(twins[0].axes)
    axes[axis] = sum(int(twin.axes[axis]) for twin in twins)
    both = Twin(name, (int(starts[-1]),), twins[0].size)
    return [named(twins[0], site.picked(both, order), axes)]


def chosen(site: TwinSite) -> list[Twin]:
    """Split, Slice and Gather of channels."""
    twin = site.first
    if site.node.op_type == "Split":
        axis, start, found = site.axis(twin, 0), 0, []
        for name in site.node.output:
            stop = start + site.values[name][0].shape[axis]
            found.append(_of_channels(site, twin, axis, np.arange(start, stop)))
            start = stop
        return found
    if site.node.op_type == "Gather":
        return [_of_channels(site, twin, site.axis(twin, 0), site.constants[site.node.input[1]])]
    starts, ends, axes, steps = (
        np.ravel(site.constants[name]) if name else None for name in (*site.node.input[1:], "", "", "")[:4]
    )
    if starts is None or ends is None or len(starts) != 1 or axes is None:
        raise NoTwin
    axis = int(axes[0]) % len(twin.axes)
    part = slice(int(starts[0]), int(ends[0]), int(steps[0]) if steps is not None else 1)
    count = twin.axes[axis]
    if not isinstance(count, int):
        raise NoTwin
    return [_of_channels(site, twin, axis, np.arange(count)[part])]


def _of_channels(site: TwinSite, twin: Twin, axis: int, which: Any) -> Twin:
    if not isinstance(twin.axes[axis], int):
        raise NoTwin
    numbers = np.take(twin.numbered(), which, axis=twin.place(axis))
    axes = [*twin.axes[:axis], *np.shape(which), *twin.axes[axis + 1 :]]
    return named(twin, site.picked(twin, numbers), axes)


def of_pixels(site: TwinSite) -> list[Twin]:
    """Conv of single pixels, BatchNormalization: rows and columns do not matter to them."""
    twin, kept = site.first, site.attributes
    channels = twin.channels
    if site.node.op_type == "Conv":
        weight = site.constants[site.node.input[1]]
        if set(weight.shape[2:]) != {1} or set(kept.get("strides", [1])) != {1} or any(kept.get("pads", [])):
            raise NoTwin
        channels = len(weight)
    if len(twin.axes) != 4 or twin.axes[0] != 1 or twin.axes[1] != twin.channels:
        raise NoTwin
    name = site.emit(site.node.op_type, [twin.name, *site.node.input[1:]], **kept)
    return [named(twin, name, (1, channels, *twin.axes[2:]))]


Rule = Callable[[TwinSite], list[Twin]]
RULES: dict[str, Rule] = {
    **dict.fromkeys(POINTWISE, pointwise),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshaped),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceL1", "ReduceL2"), reduced),
    **dict.fromkeys(("Gather", "Slice", "Split"), chosen),
    **dict.fromkeys(("BatchNormalization", "Conv"), of_pixels),
    **dict.fromkeys(("Gemm", "MatMul"), product),
    "Concat": joined,
    "Expand": expanded,
    "LayerNormalization": layer_norm,
    "Softmax": softmax,
    "Transpose": transposed,
}
