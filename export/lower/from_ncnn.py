"""A user's ncnn model as an ONNX model: one reading serves both. A rule per layer says what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sparsr.export.lower.ncnn_file import NcnnLayer, WeightFile, read_graph
from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.runtime.errors import SparsrError

_OPSET = 17


def ncnn_as_onnx(path: Path) -> onnx.ModelProto:
    """The model in `path` (NAME.param or NAME.bin, the other lies beside it), height and width free.

    Raises `SparsrError` for damaged files and naming layer and reason for what cannot be expressed.
    """
    layers = read_graph(path.with_suffix(".param"))
    writer = _Writer(WeightFile(path.with_suffix(".bin")), path.with_suffix(".param"))
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


class _Writer:
    """The ONNX nodes so far."""

    def __init__(self, weights: WeightFile, source: Path) -> None:
        self.weights, self.source = weights, source
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self.alias: dict[str, str] = {}
        self.image = ""
        self.channels = 0
        self.last = ""

    def refuse(self, layer: NcnnLayer, reason: str) -> None:
        """Raise the error that names the layer."""
        raise SparsrError(
            f"{self.source}: layer {layer.name}, {layer.kind}: {reason}", "docs/any-network.md says what is handled"
        )

    def require(self, condition: bool, layer: NcnnLayer, reason: str) -> None:
        """Refuse the layer unless `condition`."""
        if not condition:
            self.refuse(layer, reason)

    def inputs(self, layer: NcnnLayer) -> list[str]:
        """What the layer reads."""
        return [self.alias.get(name, name) for name in layer.inputs]

    def constant(self, name: str, values: Any) -> str:
        """A weight, called by that name."""
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, operator: str, layer: NcnnLayer, inputs: list[str], suffix: str = "", **attributes: Any) -> str:
        """A node that writes the layer's tensor, or one on the way to it."""
        output = layer.outputs[0] + suffix
        self.nodes.append(helper.make_node(operator, inputs, [output], f"{layer.name}{suffix}", **attributes))
        self.last = output
        return output

    def model(self) -> onnx.ModelProto:
        """All of it."""
        if not self.image or not self.channels or not self.nodes:
            raise SparsrError(f"{self.source} has no image, or no convolution that reads it")
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, None, None])
            for name, channels in ((self.image, self.channels), (self.last, None))
        ]
        graph = helper.make_graph(self.nodes, "ncnn", ends[:1], ends[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)


def _input(writer: _Writer, layer: NcnnLayer) -> None:
    writer.require(not writer.image, layer, "only one image is handled")
    writer.image = layer.outputs[0]


def _split(writer: _Writer, layer: NcnnLayer) -> None:
    """The same tensor under several names."""
    (source,) = writer.inputs(layer)
    writer.alias |= dict.fromkeys(layer.outputs, source)


def _convolution(writer: _Writer, layer: NcnnLayer) -> None:
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
    linear = _linear(layer)
    result = writer.add(
        "Conv",
        layer,
        [*writer.inputs(layer), *names],
        linear,
        strides=strides,
        dilations=dilations,
        group=groups,
        **options,
    )
    _activation(writer, layer, result)


def _deconvolution(writer: _Writer, layer: NcnnLayer) -> None:
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
        _linear(layer),
        strides=strides,
        pads=_pads(layer),
        output_padding=extra,
    )
    _activation(writer, layer, result)


def _inner_product(writer: _Writer, layer: NcnnLayer) -> None:
    """Of single pixels: a 1x1 convolution."""
    outputs = layer.whole(0, 0)
    writer.require(not layer.whole(8, 0), layer, "int8 is not handled")
    weight, _ = _filters(writer, layer, outputs, (1, 1), 1, size=2)
    names = [writer.constant(f"{layer.name}.weight", weight.reshape(outputs, -1, 1, 1))]
    names += _bias(writer, layer, 1, outputs)
    _activation(writer, layer, writer.add("Conv", layer, [*writer.inputs(layer), *names], _linear(layer)))


def _filters(
    writer: _Writer, layer: NcnnLayer, outputs: int, kernel: tuple[int, int], groups: int, size: int = 6
) -> tuple[Any, int]:
    """The weights, and how many channels they read."""
    count = layer.whole(size, 0)
    area = outputs * kernel[0] * kernel[1]
    fits = min(outputs, groups, count, *kernel) > 0 and outputs % groups == 0 and count % area == 0
    writer.require(fits, layer, f"{count} weights do not fit {outputs} filters of {kernel[0]}x{kernel[1]}")
    return writer.weights.weights(count, layer), count // area * groups


def _bias(writer: _Writer, layer: NcnnLayer, number: int, outputs: int) -> list[str]:
    if not layer.whole(number, 0):
        return []
    return [writer.constant(f"{layer.name}.bias", writer.weights.plain(outputs, layer))]


def _pads(layer: NcnnLayer) -> list[int]:
    left = layer.whole(4, 0)
    top = layer.whole(14, left)
    return [top, left, layer.whole(16, top), layer.whole(15, left)]


def _linear(layer: NcnnLayer) -> str:
    """Suffix of what comes before the layer's activation, if it has one."""
    return ".linear" if layer.whole(9, 0) else ""


def _activation(writer: _Writer, layer: NcnnLayer, x: str) -> None:
    """What is fused into a convolution."""
    kind, values = layer.whole(9, 0), layer.values(10)
    if kind in (0, 1):
        _ = writer.add("Relu", layer, [x]) if kind else None
    elif kind == 2:
        writer.add("LeakyRelu", layer, [x], alpha=float(values[0]))
    elif kind == 3:
        _clipped(writer, layer, x, float(values[0]), float(values[1]))
    elif kind == 4:
        writer.add("Sigmoid", layer, [x])
    else:
        writer.refuse(layer, f"the activation {kind} is not handled")


def _clipped(writer: _Writer, layer: NcnnLayer, x: str, low: float, high: float) -> None:
    bounds = [
        writer.constant(f"{layer.name}.{key}", np.float32(value)) for key, value in (("low", low), ("high", high))
    ]
    writer.add("Clip", layer, [x, *bounds])


def _clip(writer: _Writer, layer: NcnnLayer) -> None:
    _clipped(writer, layer, writer.inputs(layer)[0], layer.number(0, -3e38), layer.number(1, 3e38))


def _relu(writer: _Writer, layer: NcnnLayer) -> None:
    slope = layer.number(0, 0)
    if slope:
        writer.add("LeakyRelu", layer, writer.inputs(layer), alpha=slope)
    else:
        writer.add("Relu", layer, writer.inputs(layer))


def _prelu(writer: _Writer, layer: NcnnLayer) -> None:
    slopes = writer.weights.plain(layer.whole(0, 0), layer)
    writer.require(slopes.size > 0, layer, "it has no slopes")
    writer.add("PRelu", layer, [*writer.inputs(layer), writer.constant(f"{layer.name}.slopes", slopes[:, None, None])])


def _swish(writer: _Writer, layer: NcnnLayer) -> None:
    (x,) = writer.inputs(layer)
    writer.add("Mul", layer, [x, writer.add("Sigmoid", layer, [x], ".gate")])


def _plain(operator: str) -> Callable[[_Writer, NcnnLayer], None]:
    return lambda writer, layer: (writer.add(operator, layer, writer.inputs(layer)), None)[1]


def _pixel_shuffle(writer: _Writer, layer: NcnnLayer) -> None:
    mode = "DCR" if layer.whole(1, 0) else "CRD"
    writer.add("DepthToSpace", layer, writer.inputs(layer), blocksize=layer.whole(0, 1), mode=mode)


_RESIZE: dict[int, dict[str, Any]] = {
    1: {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    2: {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    3: {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75},
}


def _interp(writer: _Writer, layer: NcnnLayer) -> None:
    plain = not any(layer.whole(number, 0) for number in (3, 4, 5, 6)) and len(layer.inputs) == 1
    writer.require(plain and layer.whole(0, 0) in _RESIZE, layer, "only enlarging by a factor is handled")
    scales = [1.0, 1.0, layer.number(1, 1), layer.number(2, 1)]
    writer.require(min(scales) > 0, layer, "its factor is not positive")
    names = ["", writer.constant(f"{layer.name}.scales", np.array(scales, np.float32))]
    writer.add("Resize", layer, [*writer.inputs(layer), *names], **_RESIZE[layer.whole(0, 0)])


_BINARY = {0: "Add", 1: "Sub", 2: "Mul", 3: "Div", 7: "Sub", 8: "Div"}


def _binary(writer: _Writer, layer: NcnnLayer) -> None:
    kind, operands = layer.whole(0, 0), writer.inputs(layer)
    writer.require(kind in _BINARY, layer, f"the operation {kind} is not handled")
    if layer.whole(1, 0):
        operands = [*operands, writer.constant(f"{layer.name}.value", np.float32(layer.number(2, 0)))]
    writer.require(len(operands) == 2, layer, "it has not two operands")
    writer.add(_BINARY[kind], layer, operands[::-1] if kind in (7, 8) else operands)


def _eltwise(writer: _Writer, layer: NcnnLayer) -> None:
    kind, (first, *rest) = layer.whole(0, 0), writer.inputs(layer)
    writer.require(kind in (0, 1), layer, "only products and sums are handled")
    factors = layer.values(1) or (1,) * (len(rest) + 1)
    writer.require(all(factor == 1 for factor in factors) and bool(rest), layer, "factors are not handled")
    for index, other in enumerate(rest):
        suffix = "" if index == len(rest) - 1 else f".{index}"
        first = writer.add("Add" if kind else "Mul", layer, [first, other], suffix)


def _concat(writer: _Writer, layer: NcnnLayer) -> None:
    writer.require(layer.whole(0, 0) in (0, -3), layer, "only channels are joined")
    writer.add("Concat", layer, writer.inputs(layer), axis=1)


def _crop(writer: _Writer, layer: NcnnLayer) -> None:
    starts, ends, axes = (layer.values(number) for number in (9, 10, 11))
    writer.require(
        bool(axes) and len(starts) == len(ends) == len(axes), layer, "only starts, ends and axes are handled"
    )
    rows_first = [{0: 1, 1: 2, 2: 3}.get(int(axis), int(axis)) for axis in axes]
    bounds = (("starts", starts), ("ends", ends), ("axes", rows_first))
    names = [writer.constant(f"{layer.name}.{key}", np.array(values, np.int64)) for key, values in bounds]
    writer.add("Slice", layer, [*writer.inputs(layer), *names])


def _padding(writer: _Writer, layer: NcnnLayer) -> None:
    top, bottom, left, right = (layer.whole(number, 0) for number in range(4))
    kind = layer.whole(4, 0)
    writer.require(kind in (0, 1, 2) and not layer.whole(7, 0), layer, "this kind of padding is not handled")
    pads = writer.constant(f"{layer.name}.pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    value = writer.constant(f"{layer.name}.value", np.float32(layer.number(5, 0)))
    operands = [*writer.inputs(layer), pads] + ([value] if kind == 0 else [])
    writer.add("Pad", layer, operands, mode=("constant", "edge", "reflect")[kind])


def _pooling(writer: _Writer, layer: NcnnLayer) -> None:
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


_RULES: dict[str, Callable[[_Writer, NcnnLayer], None]] = {
    "Input": _input,
    "Split": _split,
    "Noop": _split,
    "Dropout": _split,
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Deconvolution": _deconvolution,
    "InnerProduct": _inner_product,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Clip": _clip,
    "Sigmoid": _plain("Sigmoid"),
    "TanH": _plain("Tanh"),
    "Swish": _swish,
    "PixelShuffle": _pixel_shuffle,
    "Interp": _interp,
    "BinaryOp": _binary,
    "Eltwise": _eltwise,
    "Concat": _concat,
    "Crop": _crop,
    "Padding": _padding,
    "Pooling": _pooling,
}
