"""Statistics of every row or column of feature maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.export.ir.layer import Layer, Shape, Values


@dataclass(frozen=True, eq=False)
class LineMean(Layer):
    """Mean along axis 0, of every column -> (channels, 1, width), or 1, of every row -> (channels, height, 1)."""

    native_kind = "LineMean"
    _ONNX, _TFLITE = "ReduceMean", "MEAN"

    axis: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """One row or column."""
        channels, height, width = inputs[0]
        return (channels, height, 1) if self.axis else (channels, 1, width)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0].mean(2 + self.axis, keepdims=True)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op(self._ONNX, name, inputs, output, axes=[2 + self.axis])

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        axis = form.constant(f"{name}.axis", [1 + self.axis], np.int32)
        form.operator(self._TFLITE, [inputs[0], axis], form.output(name), keepDims=True)


@dataclass(frozen=True, eq=False)
class LineMax(LineMean):
    """The same of the largest value."""

    native_kind = "LineMax"
    _ONNX, _TFLITE = "ReduceMax", "REDUCE_MAX"

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0].max(2 + self.axis, keepdims=True)
