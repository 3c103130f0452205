"""Maps brought to mean 0 and variance 1, then scaled and shifted per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm, with_channels
from sparsr.export.ir.layer import Layer, Pointwise, Values, per_channel
from sparsr.runtime.samples import FloatArray


@dataclass(frozen=True, eq=False)
class ChannelNorm(Pointwise):
    """Layer normalisation of every pixel over its channels: gain (x - mean) / sqrt(variance + epsilon) + shift.

    The variance is the mean square, divided by the number of channels. gain, shift: [channels]. Ba, Kiros, Hinton,
    "Layer Normalization", 2016, eq. 4, with the channels of a pixel as the layer.
    """

    native_kind = "ChannelNorm"

    gain: FloatArray
    shift: FloatArray
    epsilon: float

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return self._normalised(inputs[0], 1)

    def _normalised(self, x: Values, axes: int | tuple[int, int]) -> Values:
        centred = x - x.mean(axes, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axes, keepdims=True) + self.epsilon)
        return per_channel(self.gain) * centred / deviation + per_channel(self.shift)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """Spelled out: LayerNormalization takes the last axes only."""
        mean = form.inner("ReduceMean", f"{name}.mean", inputs, axes=[1])
        centred = form.inner("Sub", f"{name}.centred", [inputs[0], mean])
        squared = form.inner("Mul", f"{name}.squared", [centred, centred])
        variance = form.inner("ReduceMean", f"{name}.variance", [squared], axes=[1])
        padded = form.inner("Add", f"{name}.padded", [variance, form.constant(f"{name}.epsilon", self.epsilon)])
        single = form.inner("Div", f"{name}.single", [centred, form.inner("Sqrt", f"{name}.deviation", [padded])])
        axes = form.constant(f"{name}.axes", [0, 2, 3], np.int64)
        gain, shift = (
            form.inner("Unsqueeze", f"{name}.{key}.map", [form.constant(f"{name}.{key}", values), axes])
            for key, values in (("gain", self.gain), ("shift", self.shift))
        )
        form.op("Add", name, [form.inner("Mul", f"{name}.scaled", [single, gain]), shift], output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Spelled out as well."""
        single = with_channels(form.shapes_of(inputs[0]), 1)
        axis = form.constant(f"{name}.axis", [3], np.int32)
        mean = form.step("MEAN", f"{name}.mean", [inputs[0], axis], single, keepDims=True)
        squared = form.step("SQUARED_DIFFERENCE", f"{name}.squared", [inputs[0], mean])
        variance = form.step("MEAN", f"{name}.variance", [squared, axis], single, keepDims=True)
        self._scaled(form, name, inputs[0], mean, variance)

    def _scaled(self, form: TFLiteForm, name: str, x: int, mean: int, variance: int) -> None:
        """Append what is left to do, with mean and variance."""
        padded = form.step("ADD", f"{name}.padded", [variance, form.constant(f"{name}.epsilon", [self.epsilon])])
        factor = form.step("RSQRT", f"{name}.factor", [padded])
        single = form.step("MUL", f"{name}.single", [form.step("SUB", f"{name}.centred", [x, mean]), factor])
        scaled = form.step("MUL", f"{name}.scaled", [single, form.constant(f"{name}.gain", self.gain)])
        form.operator("ADD", [scaled, form.constant(f"{name}.shift", self.shift)], form.output(name))

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Two tensors and a number."""
        return form.stored(name, gain=self.gain, shift=self.shift) | {"epsilon": self.epsilon}


@dataclass(frozen=True, eq=False)
class InstanceNorm(ChannelNorm):
    """The same of every channel over all its pixels. Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", 2016."""

    native_kind = "InstanceNorm"

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return self._normalised(inputs[0], (2, 3))

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        constants = [form.constant(f"{name}.{key}", v) for key, v in (("gain", self.gain), ("shift", self.shift))]
        form.op("InstanceNormalization", name, [inputs[0], *constants], output, epsilon=self.epsilon)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Spelled out, the means one axis at a time."""
        single = [(shape[0], 1, 1) for shape in form.shapes_of(inputs[0])]
        mean = form.mean(f"{name}.mean", inputs[0], form.feature_map(f"{name}.mean", single))
        squared = form.step("SQUARED_DIFFERENCE", f"{name}.squared", [inputs[0], mean])
        variance = form.mean(f"{name}.variance", squared, form.feature_map(f"{name}.variance", single))
        self._scaled(form, name, inputs[0], mean, variance)

    reach = Layer.reach
