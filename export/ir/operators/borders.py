"""Growing an image at its borders, and cutting them off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm, with_size
from sparsr.export.ir.layer import Layer, Reach, Shape, Values

_REFLECT = 0  # MirrorPadMode of the TFLite schema


@dataclass(frozen=True, eq=False)
class PadEdge(Layer):
    """Pixels added (top, left, bottom, right) by repeating the border pixel."""

    native_kind = "PadEdge"
    mode: ClassVar[Literal["edge", "reflect"]] = "edge"
    """What NumPy and ONNX call it."""

    padding: tuple[int, int, int, int]

    def output_shape(self, *inputs: Shape) -> Shape:
        """Both sides grow."""
        channels, height, width = inputs[0]
        top, left, bottom, right = self.padding
        return (channels, height + top + bottom, width + left + right)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        top, left, bottom, right = self.padding
        return np.pad(inputs[0], [(0, 0)] * 2 + [(top, bottom), (left, right)], mode=self.mode)

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator."""
        top, left, bottom, right = self.padding
        pads = form.constant(f"{name}.pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
        form.op("Pad", name, [inputs[0], pads], output, mode=self.mode)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Border lines put beside the image. MIRROR_PAD would do for one pixel at a time, but XNNPACK lacks it."""
        top, left, bottom, right = self.padding
        tall = [with_size(shape, 1, shape[1] + top + bottom) for shape in form.shapes_of(inputs[0])]
        rows = form.repeated_border(name, inputs[0], 1, (top, bottom), form.feature_map(f"{name}.rows", tall))
        form.repeated_border(name, rows, 2, (left, right), form.output(name))

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Its sides."""
        return {"padding": list(self.padding)}

    def reach(self, axis: int) -> Reach | None:
        """The pixel that far before. Only beyond the image's border another one is read."""
        return Reach(-self.padding[axis], -self.padding[axis])


@dataclass(frozen=True, eq=False)
class PadReflect(PadEdge):
    """Pixels added (top, left, bottom, right) by mirroring at the border pixel, which is not repeated."""

    native_kind = "PadReflect"
    mode = "reflect"

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator."""
        top, left, bottom, right = self.padding
        pads = form.constant(f"{name}.pads", [[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        form.operator("MIRROR_PAD", [inputs[0], pads], form.output(name), mode=_REFLECT)


@dataclass(frozen=True, eq=False)
class Crop(Layer):
    """Pixels cut off (top, left, bottom, right). In a native program: a convolution with a single 1 per channel."""

    native_kind = "Conv"

    amount: tuple[int, int, int, int]
    channels: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """Both sides shrink."""
        channels, height, width = inputs[0]
        top, left, bottom, right = self.amount
        return (channels, height - top - bottom, width - left - right)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        top, left, bottom, right = self.amount
        height, width = inputs[0].shape[2:]
        return inputs[0][:, :, top : height - bottom, left : width - right]

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One slice; a bound of 0 at the end is written as the largest number."""
        top, left, bottom, right = self.amount
        stop = [-end if end else np.iinfo(np.int64).max for end in (bottom, right)]
        form.op("Slice", name, [inputs[0], *form.bounds(name, [top, left], stop, [2, 3])], output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One slice."""
        top, left, bottom, right = self.amount
        stop = {axis: -end for axis, end in ((1, bottom), (2, right)) if end}
        form.strided_slice(name, inputs[0], {1: top, 2: left}, stop, form.output(name))

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """A kernel as large as what goes, its 1 where the image begins."""
        top, left, bottom, right = self.amount
        weight = np.zeros((self.channels, 1, top + bottom + 1, left + right + 1), np.float32)
        weight[:, :, top, left] = 1
        entry: dict[str, Any] = {"stride": 1, "padding": [0] * 4, "groups": self.channels}
        return entry | form.stored(name, weight=weight, bias=np.zeros(self.channels, np.float32))

    def reach(self, axis: int) -> Reach | None:
        """The pixel that far behind."""
        return Reach(self.amount[axis], self.amount[axis])
