"""Joining and taking apart channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.export.ir.layer import Pointwise, Shape, Values


@dataclass(frozen=True, eq=False)
class Concat(Pointwise):
    """Inputs one after the other along the channels."""

    native_kind = "Concat"

    def output_shape(self, *inputs: Shape) -> Shape:
        """Channels add up."""
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return np.concatenate(inputs, axis=1)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("Concat", name, inputs, output, axis=1)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        form.operator("CONCATENATION", inputs, form.output(name), axis=3)


@dataclass(frozen=True, eq=False)
class SliceChannels(Pointwise):
    """Channels start <= c < stop."""

    native_kind = "SliceChannels"

    start: int
    stop: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """(stop - start, height, width)."""
        return (self.stop - self.start, *inputs[0][1:])

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0][:, self.start : self.stop]

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("Slice", name, [inputs[0], *form.bounds(name, [self.start], [self.stop], [1])], output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        form.strided_slice(name, inputs[0], {3: self.start}, {3: self.stop}, form.output(name))
