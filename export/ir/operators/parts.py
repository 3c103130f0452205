"""Cutting maps into equal parts along rows or columns, and joining them again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.export.ir.layer import Layer, Shape, Values
from sparsr.runtime.errors import SparsrError


@dataclass(frozen=True, eq=False)
class Part(Layer):
    """Part `index` of `count` equal ones along axis 0 (rows) or 1 (columns)."""

    native_kind = "Part"

    axis: int
    index: int
    count: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """One side divided. Raises `SparsrError` if that leaves a rest."""
        sides = list(inputs[0][1:])
        if sides[self.axis] % self.count:
            raise SparsrError(f"{sides[self.axis]} pixels cannot be cut into {self.count} equal parts")
        sides[self.axis] //= self.count
        return (inputs[0][0], sides[0], sides[1])

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return np.split(inputs[0], self.count, axis=2 + self.axis)[self.index]

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator that gives all parts, the others unread."""
        parts = [output if index == self.index else f"{name}.other{index}" for index in range(self.count)]
        form.several("Split", name, inputs, parts, axis=2 + self.axis)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator that gives all parts, the others unread."""
        axis = form.constant(f"{name}.axis", 1 + self.axis, np.int32)
        parts = [
            form.output(name) if index == self.index else form.feature_map(f"{name}.other{index}", form.shapes[name])
            for index in range(self.count)
        ]
        form.several("SPLIT", [axis, inputs[0]], parts, numSplits=self.count)


@dataclass(frozen=True, eq=False)
class Join(Layer):
    """Maps of one size side by side along axis 0 (rows) or 1 (columns)."""

    native_kind = "Join"

    axis: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """One side as often as there are inputs."""
        sides = list(inputs[0][1:])
        sides[self.axis] *= len(inputs)
        return (inputs[0][0], sides[0], sides[1])

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return np.concatenate(inputs, axis=2 + self.axis)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("Concat", name, inputs, output, axis=2 + self.axis)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        form.operator("CONCATENATION", inputs, form.output(name), axis=1 + self.axis)
