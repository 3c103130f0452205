"""Channels last becomes channels first: what exporters of TensorFlow write throughout, and torch around LayerNorm.

Beside every tensor that lies [1, height, width, channels] its twin [1, channels, height, width] is computed, by the
same operator with its axes renamed. Where a Transpose leads back to channels first the twin stands in; nothing reads
the rest, which is not lowered then. What has no twin keeps its Transpose, and is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}  # of channels last, where it lies with channels first
_POINTWISE = frozenset(
    [
        "Abs", "Add", "Cast", "Celu", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish",
        "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu",
        "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh",
    ]
)  # fmt: skip


def channels_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with twins, which computes the same."""
    if not any(_permutation(node) == _TO_LAST for node in model.graph.node):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    twins = _Twins(model)
    for node in model.graph.node:
        result.graph.node.extend(twins.of(node))
    result.graph.initializer.extend(twins.tensors)
    return result


def with_channels_first(model: onnx.ModelProto) -> None:
    """Let a model of an image [1, height, width, channels] take and give [1, channels, height, width], in place."""
    image, result = model.graph.input[0], model.graph.output[0]
    dims = image.type.tensor_type.shape.dim
    first = [onnx.TensorShapeProto.Dimension() for _ in dims]
    for place, axis in enumerate(_TO_FIRST):
        first[place].CopyFrom(dims[axis])
    names = image.name, result.name
    image.name, result.name = f"{names[0]}.turned", f"{names[1]}.turned"
    for place, dim in enumerate(first):
        dims[place].CopyFrom(dim)
    before = helper.make_node("Transpose", [image.name], [names[0]], perm=_TO_LAST)
    after = helper.make_node("Transpose", [names[1]], [result.name], perm=_TO_FIRST)
    nodes = [before, *model.graph.node, after]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


class _Twins:
    """The twins so far."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._twin: dict[str, str] = {}
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.tensors: list[onnx.TensorProto] = []

    def of(self, node: NodeProto) -> list[NodeProto]:
        """The node, or what stands in for it, and what computes its twin."""
        permutation = _permutation(node)
        if permutation == _TO_LAST:
            self._twin[node.output[0]] = node.input[0]
        elif permutation == _TO_FIRST and node.input[0] in self._twin:
            return [helper.make_node("Identity", [self._twin[node.input[0]]], list(node.output), node.name)]
        elif node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            self._constants[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in self._constants:  # weights that are used twice
            self._constants[node.output[0]] = self._constants[node.input[0]]
        elif node.input and any(name in self._twin for name in node.input):
            return [node, *self._twin_nodes(node)]
        return [node]

    def _twin_nodes(self, node: NodeProto) -> list[NodeProto]:
        maker = _MAKERS.get(node.op_type)
        made = maker(self, node) if maker else None
        if made:
            self._twin |= {name: twin_of(name) for name in node.output}
        return made or []

    def pointwise(self, node: NodeProto) -> list[NodeProto] | None:
        """One value of the result by one of each operand."""
        whole = node.op_type not in ("Clip", "Dropout")
        operands = [self._operand(name) if whole or not index else name for index, name in enumerate(node.input)]
        return None if None in operands else [self._like(node, [name for name in operands if name is not None])]

    def _operand(self, name: str) -> str | None:
        """A twin, or a constant turned as twins are."""
        if name in self._twin or not name:
            return self._twin.get(name, name)
        value = self.constant(name)
        if value is None or value.ndim > 4:
            return None
        if value.size == 1:
            return name
        return self.stored(twin_of(name), value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(_TO_FIRST))

    def _like(self, node: NodeProto, inputs: Sequence[str], **attributes: Any) -> NodeProto:
        """The node's twin with other operands and, of its attributes, others in place of some."""
        kept = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute} | attributes
        made = helper.make_node(node.op_type, list(inputs), [twin_of(name) for name in node.output], **kept)
        made.name = twin_of(node.name or node.output[0])
        return made

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value of a tensor that the file holds."""
        return numpy_helper.to_array(self._constants[name]) if name in self._constants else None

    def stored(self, name: str, value: NDArray[Any]) -> str:
        """The name of a new constant."""
        if all(tensor.name != name for tensor in self.tensors):
            self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def matmul(self, node: NodeProto) -> list[NodeProto] | None:
        """Channels times a matrix: a pointwise convolution."""
        weight = self.constant(node.input[1])
        if node.input[0] not in self._twin or weight is None or weight.ndim != 2:
            return None
        filters = self.stored(f"{twin_of(node.output[0])}.weight", weight.T[:, :, None, None])
        made = helper.make_node("Conv", [self._twin[node.input[0]], filters], [twin_of(node.output[0])])
        made.name = twin_of(node.name or node.output[0])
        return [made]

    def layer_norm(self, node: NodeProto) -> list[NodeProto] | None:
        """Over the channels: between transpositions, as it is recognised."""
        axis = next((entry.i for entry in node.attribute if entry.name == "axis"), -1)
        if node.input[0] not in self._twin or axis not in (-1, 3):
            return None
        last, normed = f"{node.output[0]}.last", f"{node.output[0]}.normed"
        epsilon = {entry.name: entry.f for entry in node.attribute if entry.name == "epsilon"}
        return [
            helper.make_node("Transpose", [self._twin[node.input[0]]], [last], perm=_TO_LAST),
            helper.make_node("LayerNormalization", [last, *node.input[1:]], [normed], axis=-1, **epsilon),
            helper.make_node("Transpose", [normed], [twin_of(node.output[0])], perm=_TO_FIRST),
        ]

    def along_axis(self, node: NodeProto) -> list[NodeProto] | None:
        """Concat, Split and Softmax."""
        default = -1 if node.op_type == "Softmax" else 0
        axis = next((entry.i for entry in node.attribute if entry.name == "axis"), default) % 4
        joined = node.input if node.op_type == "Concat" else node.input[:1]
        if any(name not in self._twin for name in joined):
            return None
        inputs = [*(self._twin[name] for name in joined), *node.input[len(joined) :]]
        return [self._like(node, inputs, axis=_AXIS[axis])]

    def over_axes(self, node: NodeProto) -> list[NodeProto] | None:
        """Reductions that keep their axes."""
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        axes = attributes.get("axes") if len(node.input) < 2 else self.constant(node.input[1])
        if axes is None or not attributes.get("keepdims", 1):
            return None
        renamed = [_AXIS[int(axis) % 4] for axis in np.ravel(axes)]
        source = self._twin[node.input[0]]
        if len(node.input) < 2:
            return [self._like(node, [source], axes=renamed)]
        name = self.stored(f"{twin_of(node.output[0])}.axes", np.array(renamed, np.int64))
        return [self._like(node, [source, name])]

    def sliced(self, node: NodeProto) -> list[NodeProto] | None:
        """Slice with its axes as an operand."""
        axes = self.constant(node.input[3]) if len(node.input) > 3 else None
        if axes is None or node.input[0] not in self._twin:
            return None
        renamed = np.array([_AXIS[int(axis) % 4] for axis in np.ravel(axes)], np.int64)
        name = self.stored(f"{twin_of(node.output[0])}.axes", renamed)
        return [self._like(node, [self._twin[node.input[0]], *node.input[1:3], name, *node.input[4:]])]

    def per_axis(self, node: NodeProto) -> list[NodeProto] | None:
        """Resize, Upsample and Pad: operands with one or two numbers an axis."""
        if node.input[0] not in self._twin or any(entry.name in ("axes", "pads", "scales") for entry in node.attribute):
            return None
        kind = node.op_type
        places = {1} if kind in ("Pad", "Upsample") else {2, 3} if len(node.input) > 2 else {1}
        order = [*_TO_FIRST, *(4 + axis for axis in _TO_FIRST)] if kind == "Pad" else _TO_FIRST
        made, inputs = [], [self._twin[node.input[0]]]
        for index, name in enumerate(node.input[1:], 1):
            value = self.constant(name) if name else None
            if index not in places or not name or (value is not None and not value.size):
                inputs.append(name)
            elif value is not None:
                inputs.append(self.stored(f"{twin_of(node.output[0])}.{index}", value[order]))
            else:
                indices = self.stored(f"{twin_of(node.output[0])}.order", np.array(order, np.int64))
                inputs.append(f"{twin_of(node.output[0])}.{index}")
                made.append(helper.make_node("Gather", [name, indices], [inputs[-1]], axis=0))
        return [*made, self._like(node, inputs)]


_Maker = Callable[[_Twins, NodeProto], list[NodeProto] | None]
_MAKERS: dict[str, _Maker] = {
    **dict.fromkeys(_POINTWISE, _Twins.pointwise),
    "Concat": _Twins.along_axis,
    "LayerNormalization": _Twins.layer_norm,
    "MatMul": _Twins.matmul,
    "Pad": _Twins.per_axis,
    "ReduceMax": _Twins.over_axes,
    "ReduceMean": _Twins.over_axes,
    "ReduceMin": _Twins.over_axes,
    "ReduceSum": _Twins.over_axes,
    "Resize": _Twins.per_axis,
    "Slice": _Twins.sliced,
    "Softmax": _Twins.along_axis,
    "Split": _Twins.along_axis,
    "Upsample": _Twins.per_axis,
}


def twin_of(name: str) -> str:
    """What the twin of a tensor is called."""
    return f"{name}.channels_first"


def _permutation(node: NodeProto) -> list[int] | None:
    return next((list(entry.ints) for entry in node.attribute if entry.name == "perm"), None)
