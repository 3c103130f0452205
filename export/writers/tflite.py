"""DeployGraph -> TFLite: one short function per layer kind.

Plain builtin operators in versions TFLite 2.14 knows, NHWC, with dynamic height and width. Measured with
tflite_runtime 2.14 and ai_edge_litert 2.3: both hand dynamic graphs to XNNPACK once the input is resized, 4 to 11 times
faster than without. LEDSR, EDSR and CARN-M (grouped convolutions included) run as one partition, RFDN as five: its
resizes, whose size is computed while running, stay outside. 2.14 also leaves out IMDN's means over one axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import (
    Activation,
    Add,
    AvgPool,
    ChannelAffine,
    Concat,
    Conv,
    CropLike,
    DepthToSpace,
    FloatArray,
    GlobalMean,
    GlobalStd,
    Layer,
    MaskedBlock,
    MaxPool,
    Mul,
    PadEdge,
    PadToEven,
    ResizeLike,
    Shape,
    SliceChannels,
)
from sparsr.export.passes.tflite.masked_layers import masked_layers
from sparsr.export.passes.tflite.pixel_shuffle import with_dcr_shuffles
from sparsr.export.writers import native as native_writer
from sparsr.export.writers.tflite_schema import TFLiteBuilder
from sparsr.runtime.errors import SparsrError

INPUT, OUTPUT = "image", "upscaled"
STREAM = "SparsrStream"
Shapes = Sequence[Shape]
_PLAIN = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
_INT_SHAPE = {"outType": schema.TensorType.INT32}
_TO_FLOAT = {"outDataType": schema.TensorType.FLOAT32}


class _Writer(TFLiteBuilder):
    """The builder, and the tensors of the graph walked so far."""

    def __init__(self, graph: DeployGraph) -> None:
        super().__init__()
        self.graph = graph
        smallest = graph.minimum_size
        probes = [graph.shapes(size, size) for size in (smallest, smallest + 64)]
        self.shapes: dict[str, Shapes] = {name: [probe[name] for probe in probes] for name in probes[0]}
        """Shape of every tensor for the smallest image and a larger one: where they differ, a size is dynamic."""
        self.index: dict[str, int] = {}
        self._ends = {graph.input: INPUT, graph.output: OUTPUT}

    def feature_map(self, name: str, shapes: Shapes, dtype: type = np.float32) -> int:
        """Append a [1, height, width, channels] tensor."""
        small, large = ((1, height, width, channels) for channels, height, width in shapes)
        return self.tensor(name, small, [a if a == b else -1 for a, b in zip(small, large, strict=True)], dtype)

    def output(self, name: str) -> int:
        """Append the tensor a node of the graph writes."""
        self.index[name] = self.feature_map(self._ends.get(name, name), self.shapes[name])
        return self.index[name]

    def fused(
        self, operator: str, node: Node, inputs: Sequence[int], activation: Activation | None, **options: Any
    ) -> None:
        """Append a node's operator and its activation: inside the operator if it is a relu, else after it."""
        if activation is None or activation.function == "relu":
            fusion = schema.ActivationFunctionType
            options["fusedActivationFunction"] = fusion.RELU if activation else fusion.NONE
            self.operator(operator, inputs, self.output(node.name), **options)
        else:
            linear = self.feature_map(f"{node.name}.linear", self.shapes[node.name])
            self.activation(node, activation, self.operator(operator, inputs, linear, **options))

    def activation(self, node: Node, activation: Activation, source: int) -> None:
        """Append an element-wise function that writes the node's tensor."""
        operator = {"relu": "RELU", "leaky_relu": "LEAKY_RELU", "sigmoid": "LOGISTIC"}[activation.function]
        options = {"alpha": activation.slope} if operator == "LEAKY_RELU" else {}
        self.operator(operator, [source], self.output(node.name), **options)

    def strided_slice(
        self, name: str, source: int, start: Mapping[int, int], stop: Mapping[int, int], target: int
    ) -> int:
        """Append a slice of a [n, h, w, c] tensor, `start` and `stop` by axis; an axis without them is whole."""
        begin = self.constant(f"{name}.begin", [start.get(axis, 0) for axis in range(4)], np.int32)
        end = self.constant(f"{name}.end", [stop.get(axis, 0) for axis in range(4)], np.int32)
        step = self.constant(f"{name}.step", [1] * 4, np.int32)
        masks = {"beginMask": _mask(start), "endMask": _mask(stop)}
        return self.operator("STRIDED_SLICE", [source, begin, end, step], target, **masks)


def _mask(bounds: Iterable[int]) -> int:
    """Bits of the axes without a bound."""
    return sum(1 << axis for axis in range(4) if axis not in set(bounds))


def _activation(w: _Writer, node: Node, layer: Activation, x: list[int]) -> None:
    w.activation(node, layer, x[0])


def _conv(w: _Writer, node: Node, layer: Conv, x: list[int]) -> None:
    source, padding = _padded(w, node, layer, x[0])
    weight = w.constant(f"{node.name}.weight", layer.weight.transpose(0, 2, 3, 1))
    bias = w.constant(f"{node.name}.bias", layer.bias)
    options = {"strideH": layer.stride, "strideW": layer.stride, "dilationHFactor": 1, "dilationWFactor": 1}
    w.fused("CONV_2D", node, [source, weight, bias], layer.activation, padding=padding, **options)


def _padded(w: _Writer, node: Node, layer: Conv, source: int) -> tuple[int, int]:
    """The convolution's input and its padding option; zeros are added explicitly where SAME means other ones."""
    top, left, bottom, right = layer.padding
    if not any(layer.padding):
        return source, schema.Padding.VALID
    totals = [side - 1 for side in layer.weight.shape[2:]]
    same = (totals[0] // 2, totals[1] // 2, totals[0] - totals[0] // 2, totals[1] - totals[1] // 2)
    if layer.stride == 1 and tuple(layer.padding) == same:
        return source, schema.Padding.SAME
    shapes = [(c, height + top + bottom, width + left + right) for c, height, width in w.shapes[node.inputs[0]]]
    amounts = w.constant(f"{node.name}.pads", [[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    padded = w.feature_map(f"{node.name}.padded", shapes)
    return w.operator("PAD", [source, amounts], padded), schema.Padding.VALID


def _channel_affine(w: _Writer, node: Node, layer: ChannelAffine, x: list[int]) -> None:
    scaled = x[0]
    if np.any(layer.factor != 1):
        factor = w.constant(f"{node.name}.weight", layer.factor)
        scaled = w.operator("MUL", [scaled, factor], w.feature_map(f"{node.name}.scaled", w.shapes[node.name]))
    offset = w.constant(f"{node.name}.bias", layer.offset)
    w.operator("ADD", [scaled, offset], w.output(node.name))


def _add(w: _Writer, node: Node, layer: Add, x: list[int]) -> None:
    w.fused("ADD", node, x, layer.activation)


def _mul(w: _Writer, node: Node, layer: Mul, x: list[int]) -> None:
    w.operator("MUL", x, w.output(node.name))


def _concat(w: _Writer, node: Node, layer: Concat, x: list[int]) -> None:
    w.operator("CONCATENATION", x, w.output(node.name), axis=3)


def _slice_channels(w: _Writer, node: Node, layer: SliceChannels, x: list[int]) -> None:
    w.strided_slice(node.name, x[0], {3: layer.start}, {3: layer.stop}, w.output(node.name))


def _mean(w: _Writer, name: str, source: int, shapes: Shapes, target: int) -> int:
    """Mean over all pixels, one axis at a time.

    TFLite adds up one by one in float32: over both axes at once the mean of 700x900 pixels is off by 0.4 %, and
    IMDN's error on 240x180 pixels doubles. Two steps cost nothing measurable.
    """
    rows = w.feature_map(f"{name}.rows", [_with_size(shape, 2, 1) for shape in shapes])
    across, down = (w.constant(f"{name}.axis{axis}", [axis], np.int32) for axis in (2, 1))
    w.operator("MEAN", [source, across], rows, keepDims=True)
    return w.operator("MEAN", [rows, down], target, keepDims=True)


def _global_mean(w: _Writer, node: Node, layer: GlobalMean, x: list[int]) -> None:
    _mean(w, node.name, x[0], w.shapes[node.inputs[0]], w.output(node.name))


def _global_std(w: _Writer, node: Node, layer: GlobalStd, x: list[int]) -> None:
    # Two passes: mean(x^2) - mean(x)^2 would cancel in float32.
    name, whole, single = node.name, w.shapes[node.inputs[0]], w.shapes[node.name]
    mean = _mean(w, f"{name}.mean", x[0], whole, w.feature_map(f"{name}.mean", single))
    squared = w.operator("SQUARED_DIFFERENCE", [x[0], mean], w.feature_map(f"{name}.squared", whole))
    variance = _mean(w, f"{name}.variance", squared, whole, w.feature_map(f"{name}.variance", single))
    w.operator("SQRT", [variance], w.output(name))


def _pool(w: _Writer, node: Node, layer: MaxPool, x: list[int]) -> None:
    window = {
        "filterHeight": layer.kernel,
        "filterWidth": layer.kernel,
        "strideH": layer.stride,
        "strideW": layer.stride,
    }
    operator = "AVERAGE_POOL_2D" if isinstance(layer, AvgPool) else "MAX_POOL_2D"
    w.operator(operator, x, w.output(node.name), padding=schema.Padding.VALID, **window)


def _pad_to_even(w: _Writer, node: Node, layer: PadToEven, x: list[int]) -> None:
    """One row and column more in any case, holding 0 where the size is even already.

    A computed size would keep the whole graph from XNNPACK. To the convolution that reads it the zeros are its
    padding, and the pooling after that leaves the odd row out again.
    """
    _require_pooling(w, node)
    name, source, shapes = node.name, x[0], w.shapes[node.inputs[0]]
    shape = w.operator("SHAPE", [x[0]], w.tensor(f"{name}.shape", [4], [4], np.int32), **_INT_SHAPE)
    two = w.constant(f"{name}.two", [2], np.int32)
    odd = w.operator("FLOOR_MOD", [shape, two], w.tensor(f"{name}.odd", [4], [4], np.int32))
    share = w.operator("CAST", [odd], w.tensor(f"{name}.share", [4], [4]), **_TO_FLOAT)
    step = w.constant(f"{name}.one", [1], np.int32)
    for axis, side in ((1, "rows"), (2, "columns")):
        line = [_with_size(shape, axis, 1) for shape in shapes]
        last = w.feature_map(f"{name}.last_{side}", line)
        w.strided_slice(f"{name}.last_{side}", source, {axis: -1}, {}, last)
        ends = [w.constant(f"{name}.{side}{end}", [end], np.int32) for end in (axis, axis + 1)]
        factor = w.operator("STRIDED_SLICE", [share, *ends, step], w.tensor(f"{name}.odd_{side}", [1], [1]))
        extra = w.operator("MUL", [last, factor], w.feature_map(f"{name}.extra_{side}", line))
        shapes = [_with_size(shape, axis, shape[axis] + 1) for shape in shapes]
        source = w.operator("CONCATENATION", [source, extra], w.feature_map(f"{name}.{side}", shapes), axis=axis)
    w.index[name] = source


def _require_pooling(w: _Writer, node: Node) -> None:
    """The zeros `_pad_to_even` adds are right only for a convolution of one pixel around, then pooling by 2."""
    for reader in w.graph.consumers(node.name):
        pools = [pool.layer for pool in w.graph.consumers(reader.name)]
        conv = reader.layer
        fits = isinstance(conv, Conv) and conv.padding == (1, 1, 1, 1) and conv.weight.shape[2:] == (3, 3)
        if not fits or not all(isinstance(pool, MaxPool) and (pool.kernel, pool.stride) == (2, 2) for pool in pools):
            raise SparsrError(
                f"node {node.name}: TFLite takes {node.layer.kind} only before a 3x3 Conv and a pooling by 2"
            )


def _crop_like(w: _Writer, node: Node, layer: CropLike, x: list[int]) -> None:
    """Nearest-neighbour resizing from one row or column more is a crop: row floor(y (h + 1) / h) is y for y < h.

    Unlike a slice of computed size it has a shape that TFLite knows beforehand.
    """
    w.operator("RESIZE_NEAREST_NEIGHBOR", [x[0], _size_of(w, node.name, x[1])], w.output(node.name))


def _masked_block(w: _Writer, node: Node, layer: MaskedBlock, x: list[int]) -> None:
    name, source, shapes, results = node.name, x[0], w.shapes[node.inputs[0]], []
    mask, rest = _masks(w, node, x[1])

    def feature_map(label: str) -> int:
        return w.feature_map(f"{name}.{label}", shapes)

    for index, part in enumerate(masked_layers(layer)):
        whole = _bare_conv(w, f"{name}.{index}.whole", source, part.weight, feature_map(f"{index}.whole"))
        share = mask
        if part.everywhere.any():
            dense = w.constant(f"{name}.{index}.dense", part.everywhere)
            share = w.operator("MAXIMUM", [mask, dense], feature_map(f"{index}.share"))
        linear = w.operator("MUL", [whole, share], feature_map(f"{index}.masked"))
        if part.quiet is not None:
            quiet = _bare_conv(
                w,
                f"{name}.{index}.quiet",
                source,
                part.weight * part.quiet[:, :, None, None],
                feature_map(f"{index}.quiet"),
            )
            elsewhere = w.operator("MUL", [quiet, rest], feature_map(f"{index}.elsewhere"))
            linear = w.operator("ADD", [linear, elsewhere], feature_map(f"{index}.both"))
        source = w.operator("RELU", [linear], feature_map(str(index)))
        results.append(source)
    wide = [_with_channels(shape, layer.fuse_weight.shape[1]) for shape in shapes]
    joined = w.operator("CONCATENATION", results, w.feature_map(f"{name}.joined", wide), axis=3)
    weight = w.constant(f"{name}.weight", layer.fuse_weight[:, None, None, :])
    bias = w.constant(f"{name}.bias", layer.fuse_bias)
    w.operator("CONV_2D", [joined, weight, bias], w.output(name), padding=schema.Padding.VALID, **_PLAIN)


def _masks(w: _Writer, node: Node, logits: int) -> tuple[int, int]:
    """1 at important pixels and 0 elsewhere; and the other way round."""
    name, shapes = node.name, [_with_channels(shape, 1) for shape in w.shapes[node.inputs[0]]]
    halves = [
        w.strided_slice(f"{name}.logit{i}", logits, {3: i}, {3: i + 1}, w.feature_map(f"{name}.logit{i}", shapes))
        for i in range(2)
    ]
    larger = w.operator("GREATER", halves[::-1], w.feature_map(f"{name}.important", shapes, np.bool_))
    mask = w.operator("CAST", [larger], w.feature_map(f"{name}.mask", shapes), **_TO_FLOAT)
    one = w.constant(f"{name}.one", [1.0])
    return mask, w.operator("SUB", [one, mask], w.feature_map(f"{name}.rest", shapes))


def _bare_conv(w: _Writer, name: str, source: int, weight: FloatArray, target: int) -> int:
    """A 3x3 convolution without bias."""
    weights = w.constant(f"{name}.weight", weight.transpose(0, 2, 3, 1))
    bias = w.constant(f"{name}.bias", np.zeros(len(weight)))
    return w.operator("CONV_2D", [source, weights, bias], target, padding=schema.Padding.SAME, **_PLAIN)


def _resize_like(w: _Writer, node: Node, layer: ResizeLike, x: list[int]) -> None:
    w.operator("RESIZE_BILINEAR", [x[0], _size_of(w, node.name, x[1])], w.output(node.name), halfPixelCenters=True)


def _size_of(w: _Writer, name: str, tensor: int) -> int:
    """Height and width of a tensor."""
    shape = w.operator("SHAPE", [tensor], w.tensor(f"{name}.shape", [4], [4], np.int32), **_INT_SHAPE)
    bounds = [w.constant(f"{name}.{key}", [value], np.int32) for key, value in (("begin", 1), ("end", 3), ("step", 1))]
    return w.operator("STRIDED_SLICE", [shape, *bounds], w.tensor(f"{name}.size", [2], [2], np.int32))


def _pad_edge(w: _Writer, node: Node, layer: PadEdge, x: list[int]) -> None:
    # MIRROR_PAD would do for one pixel at a time, but XNNPACK lacks it.
    source, shapes = x[0], w.shapes[node.inputs[0]]
    for axis, side in ((1, "rows"), (2, "columns")):
        line = [_with_size(shape, axis, 1) for shape in shapes]
        first, last = (w.feature_map(f"{node.name}.{end}_{side}", line) for end in ("first", "last"))
        w.strided_slice(f"{node.name}.first_{side}", source, {axis: 0}, {axis: 1}, first)
        w.strided_slice(f"{node.name}.last_{side}", source, {axis: -1}, {}, last)
        shapes = [_with_size(shape, axis, shape[axis] + 2 * layer.amount) for shape in shapes]
        target = w.output(node.name) if axis == 2 else w.feature_map(f"{node.name}.{side}", shapes)
        parts = [first] * layer.amount + [source] + [last] * layer.amount
        source = w.operator("CONCATENATION", parts, target, axis=axis)


def _with_size(shape: Shape, axis: int, size: int) -> Shape:
    """A (channels, height, width) with another size along axis 1 or 2."""
    channels, height, width = shape
    return (channels, size, width) if axis == 1 else (channels, height, size)


def _with_channels(shape: Shape, channels: int) -> Shape:
    return (channels, *shape[1:])


def _depth_to_space(w: _Writer, node: Node, layer: DepthToSpace, x: list[int]) -> None:
    w.operator("DEPTH_TO_SPACE", x, w.output(node.name), blockSize=layer.block)


_WRITERS: dict[type[Layer], Callable[..., None]] = {
    Activation: _activation,
    Add: _add,
    AvgPool: _pool,
    ChannelAffine: _channel_affine,
    Concat: _concat,
    Conv: _conv,
    CropLike: _crop_like,
    DepthToSpace: _depth_to_space,
    GlobalMean: _global_mean,
    GlobalStd: _global_std,
    MaskedBlock: _masked_block,
    MaxPool: _pool,
    Mul: _mul,
    PadEdge: _pad_edge,
    PadToEven: _pad_to_even,
    ResizeLike: _resize_like,
    SliceChannels: _slice_channels,
}


def write_tflite(graph: DeployGraph, metadata: Mapping[str, str] | None = None) -> bytes:
    """The graph as a TFLite file: float32 `image` [1, height, width, 3] -> `upscaled` [1, s*height, s*width, 3].

    Tensors have the graph's names; values are 0..`graph.value_range`, the result is not clipped. The stored shape
    is the smallest image's; resize the input before allocating. `metadata` becomes named metadata entries.
    Raises `SparsrError` for a layer kind without a writer.
    """
    ordered = with_dcr_shuffles(graph)
    writer = _Writer(ordered)
    writer.output(ordered.input)
    for node in ordered.nodes:
        if type(node.layer) not in _WRITERS:
            raise SparsrError(f"node {node.name}: TFLite has no writer for the layer {node.layer.kind}")
        _WRITERS[type(node.layer)](writer, node, node.layer, [writer.index[name] for name in node.inputs])
    ends = {INPUT: writer.index[ordered.input]}, {OUTPUT: writer.index[ordered.output]}
    return writer.finish(*ends, f"SparSR {graph.name} x{graph.scale}", metadata or {})


def write_tflite_stream(graph: DeployGraph, metadata: Mapping[str, str] | None = None) -> bytes:
    """The graph as a TFLite file of one custom operator, `SparsrStream`, for interpreters with libsparsr.

    Ends and metadata are those of `write_tflite`; the operator's second input is the native engine's model file.
    Raises `SparsrError` for a layer that engine does not know.
    """
    writer = _Writer(graph)
    image = writer.output(graph.input)
    program = writer.constant("program", np.frombuffer(native_writer.write_native(graph, {}), np.uint8), np.uint8)
    upscaled = writer.operator(STREAM, [image, program], writer.output(graph.output))
    return writer.finish({INPUT: image}, {OUTPUT: upscaled}, f"SparSR {graph.name} x{graph.scale}", metadata or {})


def operators(model: bytes) -> tuple[str, ...]:
    """Names of the operators a TFLite file uses, sorted."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    table = schema.Model.GetRootAsModel(model, 0)
    codes = [table.OperatorCodes(i) for i in range(table.OperatorCodesLength())]
    return tuple(sorted((code.CustomCode() or names[code.BuiltinCode()].encode()).decode() for code in codes))
