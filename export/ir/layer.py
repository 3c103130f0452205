"""What every layer kind has to say about itself. One file of `operators/` holds all of it for a family of kinds.

Every layer maps NCHW float32 tensors to one NCHW float32 tensor. Its meaning is what `reference` computes; the other
methods say the same to a file format each. Shapes are (channels, height, width); no layer touches the batch dimension.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.runtime.errors import SparsrError

Shape = tuple[int, int, int]
BoolArray = NDArray[np.bool_]
Values = NDArray[np.float64]


class Reach(NamedTuple):
    """Along one axis: pixel p of the result, before it is enlarged, reads the inputs' pixels p + low .. p + high."""

    low: int = 0
    high: int = 0
    enlarged: int = 1


@dataclass(frozen=True, eq=False)
class Layer:
    """Base of all layer kinds. A method that a kind leaves out says that the kind has no such form."""

    native_kind: ClassVar[str | None] = None
    """The kind's name in the native engine's programs; None if the engine does not know it."""

    @property
    def kind(self) -> str:
        """Name of the layer kind in error messages and reports."""
        return type(self).__name__

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape produced from the inputs' shapes; by default that of the first input."""
        return inputs[0]

    def reference(self, *inputs: Values) -> Values:
        """The result, [batch, channels, height, width], slow and obvious: sums are accumulated in float64."""
        raise NotImplementedError(f"the layer {self.kind} has no reference")

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """Append operators of ONNX opset 17, the last of which is called `name` and writes `output`."""
        raise SparsrError(f"node {name}: ONNX has no form of the layer {self.kind}")

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Append builtin operators of TFLite 2.14, the last of which writes `form.output(name)`."""
        raise SparsrError(f"node {name}: TFLite has no form of the layer {self.kind}")

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """The layer's parameters in a native program; by default its fields, those that are None left out."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {key: value for key, value in fields.items() if value is not None}

    def reach(self, axis: int) -> Reach | None:
        """What a pixel reads along axis 0 (rows) or 1 (columns). None: the whole image, or it depends on the place."""
        return None

    @property
    def macs_per_pixel(self) -> int:
        """Multiply-adds for a pixel of the result: weights of convolutions, no bias, no activation."""
        return 0


class Pointwise(Layer):
    """Base of kinds whose pixels are computed from the inputs' same pixels."""

    def reach(self, axis: int) -> Reach | None:
        """The pixel itself."""
        return Reach()


def per_channel(values: NDArray[Any]) -> Values:
    """[channels] -> [1, channels, 1, 1]."""
    return values.astype(np.float64)[None, :, None, None]


def strided(x: Values, dy: int, dx: int, stride: int, height: int, width: int) -> Values:
    """The pixels that tap (dy, dx) of a kernel sees: [..., height, width]."""
    return x[..., dy::stride, dx::stride][..., :height, :width]
