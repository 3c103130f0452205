"""The nodes and constants of an ONNX file in the making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

OPSET = 17
Tensors = dict[str, NDArray[Any]]


class OnnxForm:
    """Collects nodes and constants; tensors are known by their names in the file."""

    def __init__(self, channels: Mapping[str, int]) -> None:
        self.channels = channels
        """Channels of every tensor that a layer reads or writes."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: Tensors = {}

    def op(self, operator: str, name: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node called `name` that writes the tensor `output`, and return that."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name, **attributes))
        return output

    def several(self, operator: str, name: str, inputs: Sequence[str], outputs: Sequence[str], **options: Any) -> None:
        """Append a node called `name` that writes several tensors."""
        self.nodes.append(helper.make_node(operator, list(inputs), list(outputs), name, **options))

    def inner(self, operator: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node that writes a tensor of its own name: a step on the way to a layer's result."""
        return self.op(operator, name, inputs, name, **attributes)

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        """Add a constant and return its name."""
        self.constants[name] = np.asarray(value, dtype, order="C")
        return name

    def bounds(self, name: str, start: Sequence[int], stop: Sequence[int], axes: Sequence[int]) -> list[str]:
        """Constants that a Slice reads."""
        values = {"start": start, "stop": stop, "axes": axes}
        return [self.constant(f"{name}.{key}", value, np.int64) for key, value in values.items()]

    def pixels(self, name: str, tensor: str) -> str:
        """Height and width of a tensor, int64 [2]."""
        return self.inner("Shape", name, [tensor], start=2, end=4)
