"""Pooling over small windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import VALID, TFLiteForm
from sparsr.export.ir.layer import Layer, Shape, Values, strided


@dataclass(frozen=True, eq=False)
class MaxPool(Layer):
    """Largest value of each kernel x kernel window, no padding."""

    native_kind = "MaxPool"
    onnx_operator: ClassVar[str] = "MaxPool"
    tflite_operator: ClassVar[str] = "MAX_POOL_2D"

    kernel: int
    stride: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """Floor rule per side."""
        channels, height, width = inputs[0]
        return (channels, (height - self.kernel) // self.stride + 1, (width - self.kernel) // self.stride + 1)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return self._windows(inputs[0]).max(0)

    def _windows(self, x: Values) -> Values:
        """Every place of the window: [kernel^2, batch, channels, height, width]."""
        height, width = self.output_shape((x.shape[1], x.shape[2], x.shape[3]))[1:]
        places = [(dy, dx) for dy in range(self.kernel) for dx in range(self.kernel)]
        return np.stack([strided(x, dy, dx, self.stride, height, width) for dy, dx in places])

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        sides = {"kernel_shape": [self.kernel] * 2, "strides": [self.stride] * 2}
        form.op(self.onnx_operator, name, inputs, output, **sides)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        window = {"filterHeight": self.kernel, "filterWidth": self.kernel}
        window |= {"strideH": self.stride, "strideW": self.stride}
        form.operator(self.tflite_operator, inputs, form.output(name), padding=VALID, **window)


@dataclass(frozen=True, eq=False)
class AvgPool(MaxPool):
    """Mean of each kernel x kernel window, no padding."""

    native_kind = "AvgPool"
    onnx_operator: ClassVar[str] = "AveragePool"
    tflite_operator: ClassVar[str] = "AVERAGE_POOL_2D"

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return self._windows(inputs[0]).mean(0)
