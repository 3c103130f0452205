"""The ONNX nodes that an ncnn model becomes, in the making."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sparsr.export.lower.ncnn_file import NcnnLayer, WeightFile
from sparsr.runtime.errors import SparsrError

_OPSET = 17


class Writer:
    """The ONNX nodes so far."""

    def __init__(self, weights: WeightFile, source: Path) -> None:
        self.weights, self.source = weights, source
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self.alias: dict[str, str] = {}
        self.image = ""
        self.channels = 0
        self.last = ""

    def refuse(self, layer: NcnnLayer, reason: str) -> None:
        """Raise the error that names the layer."""
        raise SparsrError(
            f"{self.source}: layer {layer.name}, {layer.kind}: {reason}", "docs/any-network.md says what is handled"
        )

    def require(self, condition: bool, layer: NcnnLayer, reason: str) -> None:
        """Refuse the layer unless `condition`."""
        if not condition:
            self.refuse(layer, reason)

    def inputs(self, layer: NcnnLayer) -> list[str]:
        """What the layer reads."""
        return [self.alias.get(name, name) for name in layer.inputs]

    def constant(self, name: str, values: Any) -> str:
        """A weight, called by that name."""
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, operator: str, layer: NcnnLayer, inputs: list[str], suffix: str = "", **attributes: Any) -> str:
        """A node that writes the layer's tensor, or one on the way to it."""
        output = layer.outputs[0] + suffix
        self.nodes.append(helper.make_node(operator, inputs, [output], f"{layer.name}{suffix}", **attributes))
        self.last = output
        return output

    def model(self) -> onnx.ModelProto:
        """All of it."""
        if not self.image or not self.channels or not self.nodes:
            raise SparsrError(f"{self.source} has no image, or no convolution that reads it")
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, None, None])
            for name, channels in ((self.image, self.channels), (self.last, None))
        ]
        graph = helper.make_graph(self.nodes, "ncnn", ends[:1], ends[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
