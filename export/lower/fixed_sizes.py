"""What a file made for images of one size takes for granted: windows as large as its maps, numbers of their pixels.

At other sizes it would pool a part of the map, or divide by the wrong number, without a word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import onnx
from numpy.typing import NDArray

from sparsr.export.lower.size_rule import Size

_FEWEST = 256  # pixels: a smaller number may well mean something else
_NEAR = 1e-6
Shapes = dict[str, tuple[int, ...]]


def shapes_at(model: onnx.ModelProto, size: Size) -> Shapes:
    """Of the tensors whose shape follows from an image of that size; 0 for what does not."""
    infos = _inferred(model, size)
    return {info.name: tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim) for info in infos}


def resizes_nothing(model: onnx.ModelProto, size: Size) -> bool:
    """Whether of an image of that size a map without a pixel would be enlarged, by which ONNX Runtime ends the process.

    It divides whole numbers by the map's sides (1.32: a signal, no exception).
    """
    enlarged = {node.input[0] for node in model.graph.node if node.op_type in ("Resize", "Upsample")}
    try:
        infos = _inferred(model, size) if enlarged else []
    except Exception:  # of several types; what cannot be told so is tried
        return False
    dimensions = {info.name: info.type.tensor_type.shape.dim for info in infos}
    return any(
        dim.HasField("dim_value") and dim.dim_value < 1 for name in enlarged for dim in dimensions.get(name, ())[2:]
    )


def _inferred(model: onnx.ModelProto, size: Size) -> list[onnx.ValueInfoProto]:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    dimensions = fixed.graph.input[0].type.tensor_type.shape.dim
    for axis, side in ((0, 1), (2, size[0]), (3, size[1])):
        dimensions[axis].dim_value = side
    graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    return [*graph.input, *graph.value_info, *graph.output]


def pools_all(model: onnx.ModelProto, shapes: Shapes) -> bool:
    """Whether a pool's window is as high or wide as the map it sees."""
    for node in model.graph.node:
        kernel: list[int] = next((list(e.ints) for e in node.attribute if e.name == "kernel_shape"), [])
        if node.op_type in ("AveragePool", "MaxPool") and node.input[0] != model.graph.input[0].name:
            sides = shapes.get(node.input[0], ())[2:]
            if any(side == whole > 1 for side, whole in zip(kernel, sides, strict=False)):
                return True
    return False


def pixel_counts(model: onnx.ModelProto, constants: Mapping[str, NDArray[Any]], shapes: Shapes) -> set[str]:
    """The constants that single pixels, sums of maps, are multiplied or divided by and that count a map's pixels."""
    counts = {math.prod(shape[2:]) for shape in shapes.values() if len(shape) == 4}
    known = [count - less for count in counts if count >= _FEWEST for less in (0, 1)]
    found = set()
    for node in model.graph.node:
        if node.op_type not in ("Div", "Mul"):
            continue
        for name, other in (tuple(node.input), tuple(node.input)[::-1]):
            value = constants.get(name)
            if value is None or value.size != 1 or shapes.get(other, ())[2:] != (1, 1):
                continue
            number = abs(float(value.reshape(()))) or 1.0
            if any(abs(max(number, 1 / number) - count) <= _NEAR * count for count in known):
                found.add(name)
    return found
