"""A node of an ONNX model and the twins of its operands, as the rules of `onnx_twin_rules` see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from sparsr.export.lower.onnx_axes import Axis, Indices, Twin

Constants = Mapping[str, NDArray[Any]]
Values = Mapping[str, Sequence[NDArray[Any]]]
"""Of every tensor but constants, for some images."""


class NoTwin(Exception):
    """A node says nothing of channels."""


class TwinSite:
    """Where the nodes and constants go that compute the twins of one node's results."""

    def __init__(self, node: NodeProto, constants: Constants, values: Values, opset: int) -> None:
        self.node, self.constants, self.values, self.opset = node, constants, values, opset
        self.operands: list[Twin | None] = []
        """For each operand its twin; None for constants and numbers."""
        self.nodes: list[NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}

    @property
    def first(self) -> Twin:
        """Of the first operand."""
        if not self.operands or self.operands[0] is None:
            raise NoTwin
        return self.operands[0]

    def shapes(self, name: str) -> list[tuple[int, ...]]:
        """For every image."""
        return [value.shape for value in self.values[name]]

    def axis(self, twin: Twin, default: int = -1) -> int:
        """The one that the node works along."""
        return int(self.attributes.get("axis", default)) % len(twin.axes)

    def emit(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node and return its result's name."""
        name = f"{self.node.output[0]}.twin{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def stored(self, value: Any) -> str:
        """The name of a new constant."""
        name = f"{self.node.output[0]}.value{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def picked(self, twin: Twin, indices: Indices) -> str:
        """The map of these channels."""
        chosen = indices.ravel()
        if np.array_equal(chosen, np.arange(twin.channels)):
            return twin.name
        return self.emit("Gather", [twin.name, self.stored(chosen.astype(np.int64))], axis=1)

    def mixed(self, source: str, matrix: Any, *bias: str) -> str:
        """Channels times a matrix [out, in]."""
        weight = self.stored(np.asarray(matrix, np.float32)[:, :, None, None])
        return self.emit("Conv", [source, weight, *bias])

    def folded(self, operator: str, names: Sequence[str]) -> str:
        """An operator of two maps applied to all of them."""
        first, *others = names
        for other in others:
            first = self.emit(operator, [first, other])
        return first


def named(twin: Twin, name: str, axes: Sequence[Axis]) -> Twin:
    """A map of the same size."""
    return Twin(name, tuple(axes), twin.size)
