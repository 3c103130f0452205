"""Convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from sparsr.export.forms.native import NativeForm, Packed, compressed
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import SAME, VALID, TFLiteForm
from sparsr.export.ir.layer import Layer, Reach, Shape, Values, per_channel, strided
from sparsr.export.ir.operators.activation import Activation, activated, fused_native, fused_onnx, fused_tflite
from sparsr.runtime.samples import FloatArray


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """Cross-correlation with zero padding, then bias, then an optional fused activation.

    weight: [out, in / groups, kernel height, kernel width]; bias: [out].
    padding: zeros added (top, left, bottom, right).
    """

    native_kind = "Conv"

    weight: FloatArray
    bias: FloatArray
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    activation: Activation | None = None

    def output_shape(self, *inputs: Shape) -> Shape:
        """(out, ...) with the usual floor rule per side."""
        _, height, width = inputs[0]
        top, left, bottom, right = self.padding
        kernel_h, kernel_w = self.weight.shape[2:]
        return (
            self.weight.shape[0],
            (height + top + bottom - kernel_h) // self.stride + 1,
            (width + left + right - kernel_w) // self.stride + 1,
        )

    def reference(self, *inputs: Values) -> Values:
        """Tap by tap."""
        (x,) = inputs
        top, left, bottom, right = self.padding
        batch, channels, height, width = x.shape
        out_h, out_w = self.output_shape((channels, height, width))[1:]
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        outputs, _, kernel_h, kernel_w = self.weight.shape
        x = x.reshape(batch, self.groups, channels // self.groups, *x.shape[2:])
        weight = self.weight.reshape(self.groups, outputs // self.groups, -1, kernel_h, kernel_w).astype(np.float64)
        result = np.zeros((batch, self.groups, outputs // self.groups, out_h * out_w))
        for dy in range(kernel_h):
            for dx in range(kernel_w):
                seen = strided(x, dy, dx, self.stride, out_h, out_w)
                result += weight[:, :, :, dy, dx] @ seen.reshape(*seen.shape[:3], -1)
        return activated(self.activation, result.reshape(batch, outputs, out_h, out_w) + per_channel(self.bias))

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator, and what spreads out N:M weights."""
        packed = compressed(self.weight)
        weight = self._spread(form, name, packed) if packed else form.constant(f"{name}.weight", self.weight)
        options: dict[str, Any] = {"kernel_shape": self.weight.shape[2:], "strides": [self.stride] * 2}
        options |= {"pads": self.padding, "group": self.groups}
        bias = form.constant(f"{name}.bias", self.bias)
        fused_onnx(form, "Conv", name, [inputs[0], weight, bias], output, self.activation, **options)

    def _spread(self, form: OnnxForm, name: str, packed: Packed) -> str:
        """Append what makes the whole weight from values and their places in every group of M input channels."""
        inputs, shape = self.weight.shape[1], packed.values.shape
        values = form.constant(f"{name}.values", packed.values)
        indices = form.constant(f"{name}.indices", packed.indices, np.uint8)
        if packed.v > 1:
            of_output = form.constant(f"{name}.of_output", np.arange(shape[0]) // packed.v, np.int64)
            indices = form.inner("Gather", f"{name}.all_indices", [indices, of_output], axis=0)
        grouped = form.constant(f"{name}.grouped", [*shape[:4], packed.m], np.int64)
        zeros = form.inner("ConstantOfShape", f"{name}.zeros", [grouped])
        places = form.inner("Cast", f"{name}.places", [indices], to=TensorProto.INT64)
        # Groups with fewer weights are filled up with zeros at place 0: they must not replace what stands there.
        filled = form.inner("ScatterElements", f"{name}.filled", [zeros, places, values], axis=-1, reduction="add")
        lines = form.constant(f"{name}.lines", [*shape[:3], shape[3] * packed.m], np.int64)
        channels = form.inner("Reshape", f"{name}.channels_last", [filled, lines])
        if shape[3] * packed.m > inputs:
            channels = form.inner("Slice", f"{name}.cut", [channels, *form.bounds(f"{name}.cut", [0], [inputs], [3])])
        return form.inner("Transpose", f"{name}.weight", [channels], perm=[0, 3, 1, 2])

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator; zeros are added before it where TFLite's SAME means other ones.

        A group of every channel has an operator of its own, which the runtimes are faster at.
        """
        source, padding = self._padded(form, name, inputs[0])
        bias = form.constant(f"{name}.bias", self.bias)
        options = {"strideH": self.stride, "strideW": self.stride, "dilationHFactor": 1, "dilationWFactor": 1}
        if self.groups > 1 and self.weight.shape[1] == 1:
            operator, order = "DEPTHWISE_CONV_2D", (1, 2, 3, 0)
            options["depthMultiplier"] = len(self.bias) // self.groups
        else:
            operator, order = "CONV_2D", (0, 2, 3, 1)
        weight = form.constant(f"{name}.weight", self.weight.transpose(order))
        fused_tflite(form, operator, name, [source, weight, bias], self.activation, padding=padding, **options)

    def _padded(self, form: TFLiteForm, name: str, source: int) -> tuple[int, int]:
        """The convolution's input and its padding option."""
        top, left, bottom, right = self.padding
        if not any(self.padding):
            return source, VALID
        totals = [side - 1 for side in self.weight.shape[2:]]
        same = (totals[0] // 2, totals[1] // 2, totals[0] - totals[0] // 2, totals[1] - totals[1] // 2)
        if self.stride == 1 and tuple(self.padding) == same:
            return source, SAME
        shapes = [(c, height + top + bottom, width + left + right) for c, height, width in form.shapes_of(source)]
        amounts = form.constant(f"{name}.pads", [[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        return form.step("PAD", f"{name}.padded", [source, amounts], shapes), VALID

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Weights in whichever form is smaller, whole or N:M."""
        entry: dict[str, Any] = {"stride": self.stride, "padding": list(self.padding), "groups": self.groups}
        entry |= fused_native(form, name, self.activation)
        return entry | form.stored(name, bias=self.bias) | form.weight(name, self.weight)

    def reach(self, axis: int) -> Reach | None:
        """The kernel's side; with a stride what a pixel sees depends on its place."""
        before = self.padding[axis]
        return Reach(-before, self.weight.shape[2 + axis] - 1 - before) if self.stride == 1 else None

    @property
    def macs_per_pixel(self) -> int:
        """All of them."""
        return self.weight.size
