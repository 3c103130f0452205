"""Statistics of whole feature maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.export.ir.layer import Layer, Shape, Values


@dataclass(frozen=True, eq=False)
class GlobalMean(Layer):
    """Mean over all pixels of each channel -> (channels, 1, 1)."""

    native_kind = "GlobalMean"

    def output_shape(self, *inputs: Shape) -> Shape:
        """One pixel."""
        return (inputs[0][0], 1, 1)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0].mean((2, 3), keepdims=True)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("GlobalAveragePool", name, inputs, output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Two operators, for precision."""
        form.mean(name, inputs[0], form.output(name))


@dataclass(frozen=True, eq=False)
class GlobalMax(GlobalMean):
    """Largest value of each channel -> (channels, 1, 1)."""

    native_kind = "GlobalMax"

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0].max((2, 3), keepdims=True)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("GlobalMaxPool", name, inputs, output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        axes = form.constant(f"{name}.axes", [1, 2], np.int32)
        form.operator("REDUCE_MAX", [inputs[0], axes], form.output(name), keepDims=True)


@dataclass(frozen=True, eq=False)
class GlobalStd(GlobalMean):
    """Population standard deviation (divided by n) over all pixels of each channel -> (channels, 1, 1)."""

    native_kind = "GlobalStd"

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0].std((2, 3), keepdims=True)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """In two passes: mean(x^2) - mean(x)^2 would cancel in float32."""
        mean = form.inner("GlobalAveragePool", f"{name}.mean", inputs)
        centred = form.inner("Sub", f"{name}.centred", [inputs[0], mean])
        squared = form.inner("Mul", f"{name}.squared", [centred, centred])
        variance = form.inner("GlobalAveragePool", f"{name}.variance", [squared])
        form.op("Sqrt", name, [variance], output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """In two passes as well."""
        single = form.shapes[name]
        mean = form.mean(f"{name}.mean", inputs[0], form.feature_map(f"{name}.mean", single))
        squared = form.step("SQUARED_DIFFERENCE", f"{name}.squared", [inputs[0], mean])
        variance = form.mean(f"{name}.variance", squared, form.feature_map(f"{name}.variance", single))
        form.operator("SQRT", [variance], form.output(name))
