"""Shares of a pixel's channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.export.ir.layer import Pointwise, Values


@dataclass(frozen=True, eq=False)
class ChannelSoftmax(Pointwise):
    """e^x of every channel, divided by the sum of them over all channels of the pixel."""

    native_kind = "ChannelSoftmax"

    def reference(self, *inputs: Values) -> Values:
        """As it says, less the largest x, which changes nothing and cannot overflow."""
        powers = np.exp(inputs[0] - inputs[0].max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("Softmax", name, inputs, output, axis=1)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator, which works over the last axis."""
        form.operator("SOFTMAX", inputs, form.output(name), beta=1.0)
