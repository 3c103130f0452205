"""A user's ncnn model as an ONNX model: one reading serves both. A rule per layer says what it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx

from sparsr.export.lower.ncnn_file import NcnnLayer, WeightFile, read_graph
from sparsr.export.lower.ncnn_functions import FUNCTIONS, Rule, activation, linear
from sparsr.export.lower.ncnn_writer import Writer
from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.runtime.errors import SparsrError


def ncnn_as_onnx(path: Path) -> onnx.ModelProto:
    """The model in `path` (NAME.param or NAME.bin, the other lies beside it), height and width free.

    Raises `SparsrError` for damaged files and naming layer and reason for what cannot be expressed.
    """
    layers = read_graph(path.with_suffix(".param"))
    writer = Writer(WeightFile(path.with_suffix(".bin")), path.with_suffix(".param"))
    for layer in layers:
        if layer.kind not in _RULES:
            writer.refuse(layer, "this kind of layer is not handled")
        try:
            _RULES[layer.kind](writer, layer)
        except (IndexError, ZeroDivisionError) as error:
            raise SparsrError(
                f"{writer.source}: layer {layer.name} ({layer.kind}) is damaged", "copy it again"
            ) from error
    writer.weights.finish()
    return checked_onnx(writer.model(), str(writer.source))


def _input(writer: Writer, layer: NcnnLayer) -> None:
    writer.require(not writer.image, layer, "only one image is handled")
    writer.image = layer.outputs[0]


def _split(writer: Writer, layer: NcnnLayer) -> None:
    """The same tensor under several names."""
    (source,) = writer.inputs(layer)
    writer.alias |= dict.fromkeys(layer.outputs, source)


def _convolution(writer: Writer, layer: NcnnLayer) -> None:
    outputs, groups = layer.whole(0, 0), layer.whole(7, 1)
    width = layer.whole(1, 0)
    kernel = layer.whole(11, width), width
    weight, inputs = _filters(writer, layer, outputs, kernel, groups)
    strides = layer.whole(13, layer.whole(3, 1)), layer.whole(3, 1)
    dilations = layer.whole(12, layer.whole(2, 1)), layer.whole(2, 1)
    pads, automatic = _pads(layer), {-233: "SAME_UPPER", -234: "SAME_LOWER"}.get(layer.whole(4, 0))
    options: dict[str, Any] = {"auto_pad": automatic} if automatic else {"pads": pads}
    writer.require(automatic is not None or min(pads) >= 0, layer, "its padding is negative")
    writer.require(
        not layer.number(18, 0) and not layer.whole(8, 0), layer, "padding by a value and int8 are not handled"
    )
    writer.channels = writer.channels or inputs  # the first convolution reads the image, maybe padded or enlarged
    names = [writer.constant(f"{layer.name}.weight", weight.reshape(outputs, -1, *kernel))]
    names += _bias(writer, layer, 5, outputs)
    before = linear(layer)
    result = writer.add(
        "Conv",
        layer,
        [*writer.inputs(layer), *names],
        before,
        strides=strides,
        dilations=dilations,
        group=groups,
        **options,
    )
    activation(writer, layer, result)


def _deconvolution(writer: Writer, layer: NcnnLayer) -> None:
    outputs, width = layer.whole(0, 0), layer.whole(1, 0)
    kernel = layer.whole(11, width), width
    weight, _ = _filters(writer, layer, outputs, kernel, 1)
    writer.require(layer.whole(2, 1) == layer.whole(12, 1) == 1, layer, "dilation is not handled")
    writer.require(not layer.whole(20, 0) and not layer.whole(21, 0), layer, "a given size is not handled")
    strides = layer.whole(13, layer.whole(3, 1)), layer.whole(3, 1)
    extra = layer.whole(19, layer.whole(18, 0)), layer.whole(18, 0)
    filters = weight.reshape(outputs, -1, *kernel).transpose(1, 0, 2, 3)  # ONNX has the inputs first
    names = [writer.constant(f"{layer.name}.weight", np.ascontiguousarray(filters))]
    names += _bias(writer, layer, 5, outputs)
    result = writer.add(
        "ConvTranspose",
        layer,
        [*writer.inputs(layer), *names],
        linear(layer),
        strides=strides,
        pads=_pads(layer),
        output_padding=extra,
    )
    activation(writer, layer, result)


def _inner_product(writer: Writer, layer: NcnnLayer) -> None:
    """Of single pixels: a 1x1 convolution."""
    outputs = layer.whole(0, 0)
    writer.require(not layer.whole(8, 0), layer, "int8 is not handled")
    weight, _ = _filters(writer, layer, outputs, (1, 1), 1, size=2)
    names = [writer.constant(f"{layer.name}.weight", weight.reshape(outputs, -1, 1, 1))]
    names += _bias(writer, layer, 1, outputs)
    activation(writer, layer, writer.add("Conv", layer, [*writer.inputs(layer), *names], linear(layer)))


def _filters(
    writer: Writer, layer: NcnnLayer, outputs: int, kernel: tuple[int, int], groups: int, size: int = 6
) -> tuple[Any, int]:
    """The weights, and how many channels they read."""
    count = layer.whole(size, 0)
    area = outputs * kernel[0] * kernel[1]
    fits = min(outputs, groups, count, *kernel) > 0 and outputs % groups == 0 and count % area == 0
    writer.require(fits, layer, f"{count} weights do not fit {outputs} filters of {kernel[0]}x{kernel[1]}")
    return writer.weights.weights(count, layer), count // area * groups


def _bias(writer: Writer, layer: NcnnLayer, number: int, outputs: int) -> list[str]:
    if not layer.whole(number, 0):
        return []
    return [writer.constant(f"{layer.name}.bias", writer.weights.plain(outputs, layer))]


def _pads(layer: NcnnLayer) -> list[int]:
    left = layer.whole(4, 0)
    top = layer.whole(14, left)
    return [top, left, layer.whole(16, top), layer.whole(15, left)]


def _pixel_shuffle(writer: Writer, layer: NcnnLayer) -> None:
    mode = "DCR" if layer.whole(1, 0) else "CRD"
    writer.add("DepthToSpace", layer, writer.inputs(layer), blocksize=layer.whole(0, 1), mode=mode)


_RESIZE: dict[int, dict[str, Any]] = {
    1: {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    2: {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    3: {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75},
}


def _interp(writer: Writer, layer: NcnnLayer) -> None:
    plain = not any(layer.whole(number, 0) for number in (3, 4, 5, 6)) and len(layer.inputs) == 1
    writer.require(plain and layer.whole(0, 0) in _RESIZE, layer, "only enlarging by a factor is handled")
    scales = [1.0, 1.0, layer.number(1, 1), layer.number(2, 1)]
    writer.require(min(scales) > 0, layer, "its factor is not positive")
    names = ["", writer.constant(f"{layer.name}.scales", np.array(scales, np.float32))]
    writer.add("Resize", layer, [*writer.inputs(layer), *names], **_RESIZE[layer.whole(0, 0)])


_BINARY = {0: "Add", 1: "Sub", 2: "Mul", 3: "Div", 4: "Max", 5: "Min", 6: "Pow", 7: "Sub", 8: "Div"}


def _binary(writer: Writer, layer: NcnnLayer) -> None:
    kind, operands = layer.whole(0, 0), writer.inputs(layer)
    writer.require(kind in _BINARY, layer, f"the operation {kind} is not handled")
    if layer.whole(1, 0):
        operands = [*operands, writer.constant(f"{layer.name}.value", np.float32(layer.number(2, 0)))]
    writer.require(len(operands) == 2, layer, "it has not two operands")
    writer.add(_BINARY[kind], layer, operands[::-1] if kind in (7, 8) else operands)


def _eltwise(writer: Writer, layer: NcnnLayer) -> None:
    kind, (first, *rest) = layer.whole(0, 0), writer.inputs(layer)
    writer.require(kind in (0, 1), layer, "only products and sums are handled")
    factors = layer.values(1) or (1,) * (len(rest) + 1)
    writer.require(all(factor == 1 for factor in factors) and bool(rest), layer, "factors are not handled")
    for index, other in enumerate(rest):
        suffix = "" if index == len(rest) - 1 else f".{index}"
        first = writer.add("Add" if kind else "Mul", layer, [first, other], suffix)


def _concat(writer: Writer, layer: NcnnLayer) -> None:
    writer.require(layer.whole(0, 0) in (0, -3), layer, "only channels are joined")
    writer.add("Concat", layer, writer.inputs(layer), axis=1)


def _crop(writer: Writer, layer: NcnnLayer) -> None:
    """By starts and ends of axes; or by columns and rows cut off, down to a second map's size if there is one."""
    if not layer.values(11):
        _cut(writer, layer)
        return
    starts, ends, axes = (layer.values(number) for number in (9, 10, 11))
    writer.require(
        bool(axes) and len(starts) == len(ends) == len(axes), layer, "only starts, ends and axes are handled"
    )
    rows_first = [{0: 1, 1: 2, 2: 3}.get(int(axis), int(axis)) for axis in axes]
    bounds = (("starts", starts), ("ends", ends), ("axes", rows_first))
    names = [writer.constant(f"{layer.name}.{key}", np.array(values, np.int64)) for key, values in bounds]
    writer.add("Slice", layer, [*writer.inputs(layer), *names])


_REST = -233  # in place of a size: what is left


def _cut(writer: Writer, layer: NcnnLayer) -> None:
    rest = len(layer.inputs) == 2 or all(layer.whole(place, 0) == _REST for place in (3, 4, 5))
    plain = rest and not layer.whole(2, 0) and not layer.whole(8, 0)
    writer.require(plain, layer, "only columns and rows are cut off, and to no given size")
    left, top, right, bottom = (layer.whole(place, 0) for place in (0, 1, 6, 7))
    starts = writer.constant(f"{layer.name}.starts", np.array([top, left], np.int64))
    if len(layer.inputs) == 2:
        size = writer.add("Shape", layer, writer.inputs(layer)[1:], ".size", start=2, end=4)
        ends = writer.add("Add", layer, [size, starts], ".ends")
    else:
        behind = [-amount if amount else np.iinfo(np.int64).max for amount in (bottom, right)]
        ends = writer.constant(f"{layer.name}.ends", np.array(behind, np.int64))
    axes = writer.constant(f"{layer.name}.axes", np.array([2, 3], np.int64))
    writer.add("Slice", layer, [writer.inputs(layer)[0], starts, ends, axes])


def _padding(writer: Writer, layer: NcnnLayer) -> None:
    top, bottom, left, right = (layer.whole(number, 0) for number in range(4))
    kind = layer.whole(4, 0)
    writer.require(kind in (0, 1, 2) and not layer.whole(7, 0), layer, "this kind of padding is not handled")
    pads = writer.constant(f"{layer.name}.pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    value = writer.constant(f"{layer.name}.value", np.float32(layer.number(5, 0)))
    operands = [*writer.inputs(layer), pads] + ([value] if kind == 0 else [])
    writer.add("Pad", layer, operands, mode=("constant", "edge", "reflect")[kind])


def _pooling(writer: Writer, layer: NcnnLayer) -> None:
    average = layer.whole(0, 0) == 1
    if layer.whole(4, 0):
        writer.add("GlobalAveragePool" if average else "GlobalMaxPool", layer, writer.inputs(layer))
        return
    width, stride = layer.whole(1, 0), layer.whole(2, 1)
    plain = not any(_pads_of_pool(layer)) and layer.whole(5, 0) == 1
    writer.require(plain, layer, "only pools without padding that leave out the rest are handled")
    kernel = [layer.whole(11, width), width]
    strides = [layer.whole(12, stride), stride]
    writer.add(
        "AveragePool" if average else "MaxPool", layer, writer.inputs(layer), kernel_shape=kernel, strides=strides
    )


def _pads_of_pool(layer: NcnnLayer) -> list[int]:
    return [layer.whole(number, 0) for number in (3, 13, 14, 15)]


_RULES: dict[str, Rule] = {
    "Input": _input,
    "Split": _split,
    "Noop": _split,
    "Dropout": _split,
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Deconvolution": _deconvolution,
    "InnerProduct": _inner_product,
    **FUNCTIONS,
    "PixelShuffle": _pixel_shuffle,
    "Interp": _interp,
    "BinaryOp": _binary,
    "Eltwise": _eltwise,
    "Concat": _concat,
    "Crop": _crop,
    "Padding": _padding,
    "Pooling": _pooling,
}
