"""Scaling channels, sums and products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.export.ir.layer import Pointwise, Values, per_channel
from sparsr.export.ir.operators.activation import Activation, activated, fused_native, fused_onnx, fused_tflite
from sparsr.runtime.samples import FloatArray


@dataclass(frozen=True, eq=False)
class ChannelAffine(Pointwise):
    """Per channel: factor * x + offset. factor and offset: [channels]."""

    native_kind = "ChannelAffine"

    factor: FloatArray
    offset: FloatArray

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return per_channel(self.factor) * inputs[0] + per_channel(self.offset)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """A product and a sum."""
        axes = form.constant(f"{name}.axes", [0, 2, 3], np.int64)
        factor, offset = (
            form.inner("Unsqueeze", f"{name}.{key}.map", [form.constant(f"{name}.{key}", values), axes])
            for key, values in (("factor", self.factor), ("offset", self.offset))
        )
        scaled = form.op("Mul", f"{name}.mul", [inputs[0], factor], f"{name}.scaled")
        form.op("Add", name, [scaled, offset], output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """A product, if there is one, and a sum."""
        scaled = inputs[0]
        if np.any(self.factor != 1):
            scaled = form.step("MUL", f"{name}.scaled", [scaled, form.constant(f"{name}.weight", self.factor)])
        form.operator("ADD", [scaled, form.constant(f"{name}.bias", self.offset)], form.output(name))

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Two tensors."""
        return form.stored(name, factor=self.factor, offset=self.offset)


@dataclass(frozen=True, eq=False)
class Add(Pointwise):
    """Sum of two tensors of the same shape, then an optional fused activation."""

    native_kind = "Add"

    activation: Activation | None = None

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return activated(self.activation, inputs[0] + inputs[1])

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        fused_onnx(form, "Add", name, inputs, output, self.activation)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        fused_tflite(form, "ADD", name, inputs, self.activation)

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Its activation."""
        return fused_native(form, name, self.activation)


@dataclass(frozen=True, eq=False)
class Mul(Pointwise):
    """Product of two tensors; the second may be (channels, 1, 1) and is then spread over all pixels."""

    native_kind = "Mul"

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0] * inputs[1]

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("Mul", name, inputs, output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        form.operator("MUL", inputs, form.output(name))
