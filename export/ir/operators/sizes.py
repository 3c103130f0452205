"""Layers whose result's size follows from another tensor's or from whether a size is odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm, with_size
from sparsr.export.ir.layer import Layer, Shape, Values

ResizeMode = Literal["linear", "corners", "nearest"]
_ONNX_MODES: dict[ResizeMode, dict[str, str]] = {
    "linear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "corners": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
}


@dataclass(frozen=True, eq=False)
class PadToMultiple(Layer):
    """The last row and column repeated until height and width are multiples of these."""

    native_kind = "PadToMultiple"

    rows: int
    columns: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """Height and width rounded up."""
        channels, height, width = inputs[0]
        return (channels, height + -height % self.rows, width + -width % self.columns)

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        height, width = inputs[0].shape[2:]
        return np.pad(inputs[0], [(0, 0)] * 2 + [(0, -height % self.rows), (0, -width % self.columns)], mode="edge")

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """Padding by a computed amount: the remainder of a negative number is what is missing."""
        multiple = form.constant(f"{name}.multiple", [self.rows, self.columns], np.int64)
        negative = form.inner("Neg", f"{name}.negative", [form.pixels(f"{name}.size", inputs[0])])
        missing = form.inner("Mod", f"{name}.missing", [negative, multiple])
        before = form.constant(f"{name}.before", [0] * 6, np.int64)
        pads = form.inner("Concat", f"{name}.pads", [before, missing], axis=0)
        form.op("Pad", name, [inputs[0], pads], output, mode="edge")

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Rows, then columns gathered by their numbers, none larger than the last. Sizes are computed while running."""
        shape = form.shape(name, inputs[0])
        tall = [with_size(size, 1, size[1] + -size[1] % self.rows) for size in form.shapes_of(inputs[0])]
        rows = form.feature_map(f"{name}.tall", tall)
        form.operator("GATHER", [inputs[0], _places(form, f"{name}.rows", shape, 1, self.rows)], rows, axis=1)
        columns = _places(form, f"{name}.columns", shape, 2, self.columns)
        form.operator("GATHER", [rows, columns], form.output(name), axis=2)


def _places(form: TFLiteForm, name: str, shape: int, axis: int, multiple: int) -> int:
    """Append 0, 1, 2, ... along an axis of a feature map of that `shape`, the last repeated up to a multiple."""

    def constant(key: str, value: Any) -> int:
        return form.constant(f"{name}.{key}", value, np.int32)

    def number(key: str, operator: str, *operands: int, **options: int) -> int:
        return form.operator(operator, operands, form.tensor(f"{name}.{key}", [], [], np.int32), **options)

    ends = [constant(key, [value]) for key, value in (("from", axis), ("to", axis + 1), ("by", 1))]
    size = number("size", "STRIDED_SLICE", shape, *ends, shrinkAxisMask=1)
    one = constant("one", 1)
    negative = number("negative", "MUL", size, constant("minus", -1))
    missing = number("missing", "FLOOR_MOD", negative, constant("multiple", multiple))
    stop, last = number("stop", "ADD", size, missing), number("last", "SUB", size, one)
    numbers = form.tensor(f"{name}.numbers", [multiple], [-1], np.int32)
    form.operator("RANGE", [constant("zero", 0), stop, one], numbers)
    return form.operator("MINIMUM", [numbers, last], form.tensor(f"{name}.places", [multiple], [-1], np.int32))


@dataclass(frozen=True, eq=False)
class PadToEven(PadToMultiple):
    """The last row or column once more where the height or width is odd."""

    native_kind = "PadToEven"

    rows: int = 2
    columns: int = 2

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Nothing beside its name."""
        return {}

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One row and column more in any case, holding 0 where the size is even already.

        A computed size would keep the whole graph from XNNPACK. To the convolution that reads it the zeros are its
        padding, and the pooling after that leaves the odd row out again: `passes/tflite/odd_sizes.py` makes sure.
        """
        source, shapes = inputs[0], form.shapes_of(inputs[0])
        shape = form.shape(name, source)
        two = form.constant(f"{name}.two", [2], np.int32)
        odd = form.operator("FLOOR_MOD", [shape, two], form.tensor(f"{name}.odd", [4], [4], np.int32))
        share = form.cast(odd, form.tensor(f"{name}.share", [4], [4]))
        step = form.constant(f"{name}.one", [1], np.int32)
        for axis, side in ((1, "rows"), (2, "columns")):
            line = [with_size(shape, axis, 1) for shape in shapes]
            last = form.feature_map(f"{name}.last_{side}", line)
            form.strided_slice(f"{name}.last_{side}", source, {axis: -1}, {}, last)
            ends = [form.constant(f"{name}.{side}{end}", [end], np.int32) for end in (axis, axis + 1)]
            factor = form.operator("STRIDED_SLICE", [share, *ends, step], form.tensor(f"{name}.odd_{side}", [1], [1]))
            extra = form.step("MUL", f"{name}.extra_{side}", [last, factor])
            shapes = [with_size(shape, axis, shape[axis] + 1) for shape in shapes]
            source = form.step("CONCATENATION", f"{name}.{side}", [source, extra], shapes, axis=axis)
        form.index[name] = source


@dataclass(frozen=True, eq=False)
class CropLike(Layer):
    """Top left part of the first input, as large as the second; `most` rows and columns are cut off at most."""

    native_kind = "CropLike"

    most: int = 1

    def output_shape(self, *inputs: Shape) -> Shape:
        """Channels of the first input, size of the second."""
        return (inputs[0][0], *inputs[1][1:])

    def reference(self, *inputs: Values) -> Values:
        """As it says."""
        return inputs[0][:, :, : inputs[1].shape[2], : inputs[1].shape[3]]

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """A slice of computed size."""
        start, _, axes = form.bounds(name, [0, 0], [0, 0], [2, 3])
        form.op("Slice", name, [inputs[0], start, form.pixels(f"{name}.size", inputs[1]), axes], output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Nearest-neighbour resizing from one row or column more is a crop: row floor(y (h + 1) / h) is y for y < h.

        Unlike a slice of computed size it has a shape that TFLite knows beforehand. Of several rows there is no way
        round the slice.
        """
        if self.most > 1:
            start, step = (form.constant(f"{name}.{key}", [value] * 4, np.int32) for key, value in _WHOLE.items())
            operands = [inputs[0], start, form.shape(name, inputs[1]), step]
            form.operator("STRIDED_SLICE", operands, form.output(name), endMask=_NOT_PIXELS)
            return
        form.operator("RESIZE_NEAREST_NEIGHBOR", [inputs[0], form.pixels(name, inputs[1])], form.output(name))

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Nothing beside its name."""
        return {}


_WHOLE = {"start": 0, "step": 1}
_NOT_PIXELS = 0b1001  # the batch and the channels


@dataclass(frozen=True, eq=False)
class ResizeLike(Layer):
    """First input resized to the size of the second, without antialiasing.

    mode: `linear`, bilinear with half-pixel centres; `corners`, bilinear with the corner pixels of both at one place;
    `nearest`, pixel i of n from pixel i m / n of m, rounded down.
    """

    native_kind = "ResizeLike"

    mode: ResizeMode = "linear"

    def output_shape(self, *inputs: Shape) -> Shape:
        """Channels of the first input, size of the second."""
        return (inputs[0][0], *inputs[1][1:])

    def reference(self, *inputs: Values) -> Values:
        """A matrix for each axis."""
        x, like = inputs
        rows, columns = (_resizing(x.shape[axis], like.shape[axis], self.mode) for axis in (2, 3))
        return rows @ x @ columns.T

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator, its size computed."""
        channels = form.constant(f"{name}.channels", [1, form.channels[inputs[0]]], np.int64)
        size = form.inner("Concat", f"{name}.size", [channels, form.pixels(f"{name}.pixels", inputs[1])], axis=0)
        form.op("Resize", name, [inputs[0], "", "", size], output, **_ONNX_MODES[self.mode])

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator, its size computed."""
        operands = [inputs[0], form.pixels(name, inputs[1])]
        if self.mode == "nearest":
            form.operator("RESIZE_NEAREST_NEIGHBOR", operands, form.output(name))
        else:
            corners = self.mode == "corners"
            options = {"alignCorners": corners, "halfPixelCenters": not corners}
            form.operator("RESIZE_BILINEAR", operands, form.output(name), **options)

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Its mode, if it is not the usual one."""
        return {} if self.mode == "linear" else {"mode": self.mode}


def _resizing(size: int, target: int, mode: ResizeMode) -> Values:
    """Matrix [target, size] of interpolation weights; the border repeats."""
    matrix = np.zeros((target, size))
    for i in range(target):
        if mode == "nearest":
            matrix[i, i * size // target] = 1
            continue
        if mode == "corners":
            centre = i * (size - 1) / max(target - 1, 1)
        else:
            centre = min(max((i + 0.5) * size / target - 0.5, 0), size - 1)
        left = min(int(centre), max(size - 2, 0))
        matrix[i, left] += 1 - (centre - left)
        matrix[i, min(left + 1, size - 1)] += centre - left
    return matrix
