"""An ONNX file of standard operators as a PyTorch module: the operators restoration networks are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from sparsr.runtime.errors import SparsrError

Attributes = dict[str, Any]


def _conv(given: list[Tensor], attributes: Attributes) -> Tensor:
    image, weight, *bias = given
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    padding: Any = (top, left)
    if (top, left) != (bottom, right):
        image, padding = functional.pad(image, (left, right, top, bottom)), 0
    group = attributes.get("group", 1)
    return functional.conv2d(image, weight, bias[0] if bias else None, strides, padding, dilations, group)


def _depth_to_space(given: list[Tensor], attributes: Attributes) -> Tensor:
    block = attributes["blocksize"]
    (image,) = given
    if attributes.get("mode", b"DCR") == b"DCR":
        batch, channels, height, width = image.shape
        image = image.reshape(batch, block * block, channels // block**2, height, width).transpose(1, 2)
        image = image.reshape(batch, channels, height, width)
    return functional.pixel_shuffle(image, block)


def _clip(given: list[Tensor], attributes: Attributes) -> Tensor:
    low, high = ([*given[1:], None, None])[:2]
    return torch.clamp(given[0], low, high)


OPERATORS: dict[str, Callable[[list[Tensor], Attributes], Tensor]] = {
    "Add": lambda given, attributes: given[0] + given[1],
    "Clip": _clip,
    "Concat": lambda given, attributes: torch.cat(given, attributes["axis"]),
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "Identity": lambda given, attributes: given[0],
    "LeakyRelu": lambda given, attributes: functional.leaky_relu(given[0], attributes.get("alpha", 0.01)),
    "Mul": lambda given, attributes: given[0] * given[1],
    "PRelu": lambda given, attributes: torch.where(given[0] >= 0, given[0], given[0] * given[1]),
    "Relu": lambda given, attributes: functional.relu(given[0]),
    "Sigmoid": lambda given, attributes: torch.sigmoid(given[0]),
    "Sub": lambda given, attributes: given[0] - given[1],
}


class TorchNetwork(nn.Module):
    """Computes what the file's graph says; images are [1, 3, h, w]."""

    def __init__(self, path: Path) -> None:
        """Raises `SparsrError` for a graph with other operators."""
        super().__init__()
        graph = onnx.load(str(path)).graph
        unknown = sorted({node.op_type for node in graph.node} - {*OPERATORS, "Constant"})
        if unknown:
            raise SparsrError(f"the PyTorch engines do not know {', '.join(unknown)}", "use ort-cuda")
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._names: dict[str, str] = {}
        for tensor in graph.initializer:
            self._keep(tensor.name, numpy_helper.to_array(tensor))
        self._steps: list[tuple[str, list[str], str, Attributes]] = []
        for node in graph.node:
            attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
            if node.op_type == "Constant":
                self._keep(node.output[0], numpy_helper.to_array(attributes["value"]))
            else:
                inputs = [name for name in node.input if name]
                self._steps.append((node.op_type, inputs, node.output[0], attributes))

    def _keep(self, name: str, value: np.ndarray[Any, Any]) -> None:
        self._names[name] = f"tensor{len(self._names)}"
        self.register_buffer(self._names[name], torch.from_numpy(np.array(value)))

    def forward(self, image: Tensor) -> Tensor:
        """[1, 3, h, w] -> [1, 3, s*h, s*w]."""
        values = {name: getattr(self, kept) for name, kept in self._names.items()} | {self._input: image}
        for operator, inputs, output, attributes in self._steps:
            values[output] = OPERATORS[operator]([values[name] for name in inputs], attributes)
        result: Tensor = values[self._output]
        return result
