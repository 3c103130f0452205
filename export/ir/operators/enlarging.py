"""Enlarging by a whole factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm, with_channels
from sparsr.export.ir.layer import Layer, Reach, Shape, Values
from sparsr.runtime.errors import SparsrError


@dataclass(frozen=True, eq=False)
class DepthToSpace(Layer):
    """Pixel shuffle: `block` x `block` channels become one channel's sub-pixels.

    order: `CRD` as in torch (input channel c*r*r + dy*r + dx -> output channel c at sub-pixel (dy, dx)), or `DCR` as in
    TFLite (input channel (dy*r + dx)*C + c, C the output's channels).
    """

    native_kind = "DepthToSpace"

    block: int
    order: Literal["CRD", "DCR"] = "CRD"

    def output_shape(self, *inputs: Shape) -> Shape:
        """(channels / r^2, r * height, r * width)."""
        channels, height, width = inputs[0]
        return (channels // self.block**2, height * self.block, width * self.block)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        r = self.block
        batch, channels, height, width = inputs[0].shape
        if self.order == "CRD":
            x = inputs[0].reshape(batch, channels // r**2, r, r, height, width)  # n c dy dx h w
        else:
            x = inputs[0].reshape(batch, r, r, channels // r**2, height, width).transpose(0, 3, 1, 2, 4, 5)
        return x.transpose(0, 1, 4, 2, 5, 3).reshape(batch, channels // r**2, height * r, width * r)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        form.op("DepthToSpace", name, inputs, output, blocksize=self.block, mode=self.order)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator; its order is what `passes/tflite/pixel_shuffle.py` makes of the other."""
        if self.order != "DCR":
            raise SparsrError(
                f"node {name}: TFLite shuffles pixels in another order", "run the passes for TFLite first"
            )
        form.operator("DEPTH_TO_SPACE", inputs, form.output(name), blockSize=self.block)

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """The engine knows torch's order."""
        if self.order != "CRD":
            raise SparsrError(f"node {name}: the native engine shuffles pixels in another order")
        return {"block": self.block}

    def reach(self, axis: int) -> Reach | None:
        """The pixel itself."""
        return Reach(enlarged=self.block)


@dataclass(frozen=True, eq=False)
class Nearest(Layer):
    """Every pixel as a block of `factor` x `factor` equal ones."""

    native_kind = "UpsampleNearest"

    factor: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """(channels, factor * height, factor * width)."""
        channels, height, width = inputs[0]
        return (channels, height * self.factor, width * self.factor)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0].repeat(self.factor, 2).repeat(self.factor, 3)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        scales = form.constant(f"{name}.scales", [1, 1, self.factor, self.factor])
        options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        form.op("Resize", name, [inputs[0], "", scales], output, **options)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """As many copies of the channels, shuffled: a resize of computed size would stay outside XNNPACK."""
        copies = self.factor**2
        wide = with_channels(form.shapes_of(inputs[0]), copies * form.shapes_of(inputs[0])[0][0])
        joined = form.step("CONCATENATION", f"{name}.copies", inputs * copies, wide, axis=3)
        form.operator("DEPTH_TO_SPACE", [joined], form.output(name), blockSize=self.factor)

    def reach(self, axis: int) -> Reach | None:
        """The pixel itself."""
        return Reach(enlarged=self.factor)
