"""Feature maps and the steps several layers share, in a TFLite file in the making (NHWC, dynamic height and width)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sparsr.export.forms.tflite_file import TFLiteBuilder

INPUT, OUTPUT = "image", "upscaled"
Shape = tuple[int, int, int]
Shapes = Sequence[Shape]
"""(channels, height, width) for the smallest image and for a larger one: where they differ, a size is dynamic."""
VALID, SAME = schema.Padding.VALID, schema.Padding.SAME
_INT_SHAPE = {"outType": schema.TensorType.INT32}
_TO_FLOAT = {"outDataType": schema.TensorType.FLOAT32}


class TFLiteForm(TFLiteBuilder):
    """The builder, and what is known of the tensors appended so far. `shapes`: of every tensor of the graph."""

    def __init__(self, shapes: Mapping[str, Shapes], names: Mapping[str, str]) -> None:
        super().__init__()
        self.shapes = shapes
        self.index: dict[str, int] = {}
        """The file's tensor for each of the graph's."""
        self._names = names
        self._shapes: dict[int, Shapes] = {}

    def feature_map(self, name: str, shapes: Shapes, dtype: type = np.float32) -> int:
        """Append a [1, height, width, channels] tensor."""
        small, large = ((1, height, width, channels) for channels, height, width in shapes)
        signature = [a if a == b else -1 for a, b in zip(small, large, strict=True)]
        index = self.tensor(name, small, signature, dtype)
        self._shapes[index] = shapes
        return index

    def output(self, name: str) -> int:
        """Append the tensor a node of the graph writes."""
        self.index[name] = self.feature_map(self._names.get(name, name), self.shapes[name])
        return self.index[name]

    def shapes_of(self, tensor: int) -> Shapes:
        """Those of a feature map."""
        return self._shapes[tensor]

    def step(
        self, operator: str, name: str, inputs: Sequence[int], shapes: Shapes | None = None, **options: Any
    ) -> int:
        """Append a step on the way to a layer's result: a feature map, by default as large as the input."""
        target = self.feature_map(name, self.shapes_of(inputs[0]) if shapes is None else shapes)
        return self.operator(operator, inputs, target, **options)

    def conv(self, name: str, source: int, weight: Any, bias: Any, target: int, padding: int, **options: Any) -> int:
        """Append a convolution; weight [outputs, inputs, height, width]. `options` beyond stride and dilation 1."""
        weights = self.constant(f"{name}.weight", weight.transpose(0, 2, 3, 1))
        plain = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
        inputs = [source, weights, self.constant(f"{name}.bias", bias)]
        return self.operator("CONV_2D", inputs, target, padding=padding, **plain | options)

    def strided_slice(
        self, name: str, source: int, start: Mapping[int, int], stop: Mapping[int, int], target: int
    ) -> int:
        """Append a slice of a [n, h, w, c] tensor, `start` and `stop` by axis; an axis without them is whole."""
        begin = self.constant(f"{name}.begin", [start.get(axis, 0) for axis in range(4)], np.int32)
        end = self.constant(f"{name}.end", [stop.get(axis, 0) for axis in range(4)], np.int32)
        step = self.constant(f"{name}.step", [1] * 4, np.int32)
        masks = {"beginMask": _mask(start), "endMask": _mask(stop)}
        return self.operator("STRIDED_SLICE", [source, begin, end, step], target, **masks)

    def mean(self, name: str, source: int, target: int) -> int:
        """Append the mean over all pixels, one axis at a time.

        TFLite adds up one by one in float32: over both axes at once the mean of 700x900 pixels is off by 0.4 %, and
        IMDN's error on 240x180 pixels doubles. Two steps cost nothing measurable.
        """
        rows = self.feature_map(f"{name}.rows", [with_size(shape, 2, 1) for shape in self.shapes_of(source)])
        across, down = (self.constant(f"{name}.axis{axis}", [axis], np.int32) for axis in (2, 1))
        self.operator("MEAN", [source, across], rows, keepDims=True)
        return self.operator("MEAN", [rows, down], target, keepDims=True)

    def shape(self, name: str, source: int) -> int:
        """Append the shape of a feature map, int32 [4]."""
        return self.operator("SHAPE", [source], self.tensor(f"{name}.shape", [4], [4], np.int32), **_INT_SHAPE)

    def pixels(self, name: str, source: int) -> int:
        """Append height and width of a feature map, int32 [2]."""
        bounds = {"begin": 1, "end": 3, "step": 1}
        constants = [self.constant(f"{name}.{key}", [value], np.int32) for key, value in bounds.items()]
        size = self.tensor(f"{name}.size", [2], [2], np.int32)
        return self.operator("STRIDED_SLICE", [self.shape(name, source), *constants], size)

    def cast(self, source: int, target: int) -> int:
        """Append the conversion to float32."""
        return self.operator("CAST", [source], target, **_TO_FLOAT)

    def repeated_border(self, name: str, source: int, axis: int, amounts: tuple[int, int], target: int) -> int:
        """Append the first and the last line along axis 1 or 2 so many times more."""
        side = ("rows", "columns")[axis - 1]
        line = [with_size(shape, axis, 1) for shape in self.shapes_of(source)]
        first, last = (self.feature_map(f"{name}.{end}_{side}", line) for end in ("first", "last"))
        self.strided_slice(f"{name}.first_{side}", source, {axis: 0}, {axis: 1}, first)
        self.strided_slice(f"{name}.last_{side}", source, {axis: -1}, {}, last)
        return self.operator("CONCATENATION", [first] * amounts[0] + [source] + [last] * amounts[1], target, axis=axis)


def _mask(bounds: Iterable[int]) -> int:
    """Bits of the axes without a bound."""
    return sum(1 << axis for axis in range(4) if axis not in set(bounds))


def with_size(shape: Shape, axis: int, size: int) -> Shape:
    """A (channels, height, width) with another size along axis 1 or 2."""
    channels, height, width = shape
    return (channels, size, width) if axis == 1 else (channels, height, size)


def with_channels(shapes: Shapes, channels: int) -> list[Shape]:
    """The same sizes with other channels."""
    return [(channels, *shape[1:]) for shape in shapes]
