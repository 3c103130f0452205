"""DeployGraph -> ONNX: one short function per layer kind.

The file is plain ONNX (opset 17: any ONNX Runtime since 1.12, also the mobile builds), NCHW, with dynamic
height and width. Writing is a pure function of the graph: same graph, same bytes. The nodes are written as
onnxsim would leave them, so it is a check of the export (see `parity.py`) and not a step of the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import SparsrError
from runtime.layers import (
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
    SliceChannels,
)

from .graph import DeployGraph, Node
from .masked_layers import masked_layers

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "image", "upscaled"
_PROBES = ((61, 83), (64, 64), (127, 96))  # image sizes that tell the rule behind each dimension


class _Writer:
    """Collects nodes and initialisers while the graph is walked."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.probe = graph.shapes(*_PROBES[0])
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def tensor(self, name: str) -> str:
        """Name in the file of a tensor of the graph: only the two ends are renamed."""
        return {self.graph.input: INPUT, self.graph.output: OUTPUT}.get(name, name)

    def op(self, operator: str, name: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node called `name` that writes the tensor `output`."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name, **attributes))
        return output

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        """Append an initialiser."""
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def activation(self, activation: Activation, name: str, source: str, output: str) -> None:
        """Append an element-wise function."""
        attributes = {"alpha": activation.slope} if activation.function == "leaky_relu" else {}
        operator = {"relu": "Relu", "leaky_relu": "LeakyRelu", "sigmoid": "Sigmoid"}[activation.function]
        self.op(operator, name, [source], output, **attributes)

    def fused(self, operator: str, node: Node, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Append a node followed by the activation its layer carries, if any."""
        name, activation = node.name, cast(Conv | Add, node.layer).activation
        linear = self.op(operator, name, inputs, f"{name}.linear" if activation else output, **attributes)
        if activation:
            self.activation(activation, f"{name}.{activation.function}", linear, output)


def _activation(w: _Writer, node: Node, layer: Activation, x: list[str], y: str) -> None:
    w.activation(layer, node.name, x[0], y)


def _conv(w: _Writer, node: Node, layer: Conv, x: list[str], y: str) -> None:
    weight = w.constant(f"{node.name}.weight", layer.weight)
    bias = w.constant(f"{node.name}.bias", layer.bias)
    w.fused(
        "Conv",
        node,
        [x[0], weight, bias],
        y,
        kernel_shape=layer.weight.shape[2:],
        strides=[layer.stride] * 2,
        pads=layer.padding,
        group=layer.groups,
    )


def _channel_affine(w: _Writer, node: Node, layer: ChannelAffine, x: list[str], y: str) -> None:
    scaled = x[0]
    if np.any(layer.factor != 1):
        factor = w.constant(f"{node.name}.weight", layer.factor.reshape(1, -1, 1, 1))
        scaled = w.op("Mul", f"{node.name}.mul", [scaled, factor], f"{node.name}.scaled")
    offset = w.constant(f"{node.name}.bias", layer.offset.reshape(1, -1, 1, 1))
    w.op("Add", node.name, [scaled, offset], y)


def _add(w: _Writer, node: Node, layer: Add, x: list[str], y: str) -> None:
    w.fused("Add", node, x, y)


def _mul(w: _Writer, node: Node, layer: Mul, x: list[str], y: str) -> None:
    w.op("Mul", node.name, x, y)


def _concat(w: _Writer, node: Node, layer: Concat, x: list[str], y: str) -> None:
    w.op("Concat", node.name, x, y, axis=1)


def _slice_channels(w: _Writer, node: Node, layer: SliceChannels, x: list[str], y: str) -> None:
    w.op("Slice", node.name, [x[0], *_bounds(w, node.name, layer.start, layer.stop)], y)


def _global_mean(w: _Writer, node: Node, layer: GlobalMean, x: list[str], y: str) -> None:
    w.op("GlobalAveragePool", node.name, x, y)


def _global_std(w: _Writer, node: Node, layer: GlobalStd, x: list[str], y: str) -> None:
    # Two passes: mean(x^2) - mean(x)^2 would cancel in float32.
    name = node.name
    mean = w.op("GlobalAveragePool", f"{name}.mean", x, f"{name}.mean")
    centred = w.op("Sub", f"{name}.centred", [x[0], mean], f"{name}.centred")
    squared = w.op("Mul", f"{name}.squared", [centred, centred], f"{name}.squared")
    variance = w.op("GlobalAveragePool", f"{name}.variance", [squared], f"{name}.variance")
    w.op("Sqrt", name, [variance], y)


def _max_pool(w: _Writer, node: Node, layer: MaxPool, x: list[str], y: str) -> None:
    w.op("MaxPool", node.name, x, y, kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2)


def _avg_pool(w: _Writer, node: Node, layer: AvgPool, x: list[str], y: str) -> None:
    w.op("AveragePool", node.name, x, y, kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2)


def _pad_to_even(w: _Writer, node: Node, layer: PadToEven, x: list[str], y: str) -> None:
    name = node.name
    size = w.op("Shape", f"{name}.size", x, f"{name}.size", start=2, end=4)
    odd = w.op("Mod", f"{name}.odd", [size, w.constant(f"{name}.two", [2], np.int64)], f"{name}.odd")
    before = w.constant(f"{name}.before", [0] * 6, np.int64)
    pads = w.op("Concat", f"{name}.pads", [before, odd], f"{name}.pads", axis=0)
    w.op("Pad", name, [x[0], pads], y, mode="edge")


def _crop_like(w: _Writer, node: Node, layer: CropLike, x: list[str], y: str) -> None:
    size = w.op("Shape", f"{node.name}.size", [x[1]], f"{node.name}.size", start=2, end=4)
    start = w.constant(f"{node.name}.start", [0, 0], np.int64)
    axes = w.constant(f"{node.name}.axes", [2, 3], np.int64)
    w.op("Slice", node.name, [x[0], start, size, axes], y)


def _masked_block(w: _Writer, node: Node, layer: MaskedBlock, x: list[str], y: str) -> None:
    name, source, results = node.name, x[0], []
    mask, rest = _masks(w, name, x[1])
    for index, part in enumerate(masked_layers(layer)):
        own = f"{name}.{index}"
        whole = _bare_conv(w, f"{own}.whole", source, part.whole)
        share = mask
        if part.dense.any():
            dense = w.constant(f"{own}.dense", part.dense.reshape(1, -1, 1, 1))
            share = w.op("Max", f"{own}.share", [mask, dense], f"{own}.share")
        linear = w.op("Mul", f"{own}.masked", [whole, share], f"{own}.masked")
        if part.quiet is not None:
            quiet = _bare_conv(w, f"{own}.quiet", source, part.quiet)
            elsewhere = w.op("Mul", f"{own}.elsewhere", [quiet, rest], f"{own}.elsewhere")
            linear = w.op("Add", f"{own}.both", [linear, elsewhere], f"{own}.both")
        source = w.op("Relu", own, [linear], own)
        results.append(source)
    joined = w.op("Concat", f"{name}.joined", results, f"{name}.joined", axis=1)
    weight = w.constant(f"{name}.weight", layer.fuse_weight[:, :, None, None])
    bias = w.constant(f"{name}.bias", layer.fuse_bias)
    w.op("Conv", name, [joined, weight, bias], y, kernel_shape=[1, 1])


def _masks(w: _Writer, name: str, logits: str) -> tuple[str, str]:
    """1 at important pixels and 0 elsewhere; and the other way round."""
    halves = [
        w.op("Slice", f"{name}.logit{i}", [logits, *_bounds(w, f"{name}.logit{i}", i, i + 1)], f"{name}.logit{i}")
        for i in range(2)
    ]
    larger = w.op("Greater", f"{name}.important", halves[::-1], f"{name}.important")
    mask = w.op("Cast", f"{name}.mask", [larger], f"{name}.mask", to=TensorProto.FLOAT)
    one = w.constant(f"{name}.one", [1.0])
    return mask, w.op("Sub", f"{name}.rest", [one, mask], f"{name}.rest")


def _bare_conv(w: _Writer, name: str, source: str, weight: FloatArray) -> str:
    """A 3x3 convolution without bias."""
    constant = w.constant(f"{name}.weight", weight)
    return w.op("Conv", name, [source, constant], name, kernel_shape=[3, 3], pads=[1] * 4)


def _bounds(w: _Writer, name: str, start: int, stop: int) -> list[str]:
    """The constants of a slice of channels."""
    bounds = {"start": start, "stop": stop, "axis": 1}
    return [w.constant(f"{name}.{key}", [value], np.int64) for key, value in bounds.items()]


def _resize_like(w: _Writer, node: Node, layer: ResizeLike, x: list[str], y: str) -> None:
    name = node.name
    channels = w.constant(f"{name}.channels", [1, w.probe[node.inputs[0]][0]], np.int64)
    pixels = w.op("Shape", f"{name}.pixels", [x[1]], f"{name}.pixels", start=2, end=4)
    size = w.op("Concat", f"{name}.size", [channels, pixels], f"{name}.size", axis=0)
    w.op("Resize", name, [x[0], "", "", size], y, mode="linear", coordinate_transformation_mode="half_pixel")


def _pad_edge(w: _Writer, node: Node, layer: PadEdge, x: list[str], y: str) -> None:
    pads = w.constant(f"{node.name}.pads", [0, 0, layer.amount, layer.amount] * 2, np.int64)
    w.op("Pad", node.name, [x[0], pads], y, mode="edge")


def _depth_to_space(w: _Writer, node: Node, layer: DepthToSpace, x: list[str], y: str) -> None:
    w.op("DepthToSpace", node.name, x, y, blocksize=layer.block, mode="CRD")


_WRITERS: dict[type[Layer], Callable[..., None]] = {
    Activation: _activation,
    Add: _add,
    AvgPool: _avg_pool,
    ChannelAffine: _channel_affine,
    Concat: _concat,
    Conv: _conv,
    CropLike: _crop_like,
    DepthToSpace: _depth_to_space,
    GlobalMean: _global_mean,
    GlobalStd: _global_std,
    MaskedBlock: _masked_block,
    MaxPool: _max_pool,
    Mul: _mul,
    PadEdge: _pad_edge,
    PadToEven: _pad_to_even,
    ResizeLike: _resize_like,
    SliceChannels: _slice_channels,
}


def _dimension(axis: str, values: Sequence[int], image: Sequence[int]) -> int | str | None:
    """A dimension as netron shows it (number, `height`, `height*2`, unknown) from its value at each probe."""
    if len(set(values)) == 1:
        return values[0]
    factor = values[0] // image[0]
    if all(value == factor * size for value, size in zip(values, image, strict=True)):
        return axis if factor == 1 else f"{axis}*{factor}"
    return None


def _value_infos(graph: DeployGraph, names: Mapping[str, str]) -> dict[str, onnx.ValueInfoProto]:
    """Type and shape of every tensor of the graph, by its name there; `names` gives the names in the file."""
    probes = [graph.shapes(height, width) for height, width in _PROBES]
    heights, widths = zip(*_PROBES, strict=True)
    infos = {}
    for name in probes[0]:
        shape = [
            1,
            probes[0][name][0],
            _dimension("height", [probe[name][1] for probe in probes], heights),
            _dimension("width", [probe[name][2] for probe in probes], widths),
        ]
        infos[name] = helper.make_tensor_value_info(names[name], TensorProto.FLOAT, shape)
    return infos


def write_onnx(graph: DeployGraph, metadata: Mapping[str, str] | None = None) -> bytes:
    """The graph as a checked ONNX file; float32 `image` [1, 3, height, width] -> `upscaled` [1, 3, s*h, s*w].

    Nodes and their outputs have the graph's names, weights are `<node>.weight` and `<node>.bias`; `metadata`
    becomes the file's metadata_props. Values are 0..`graph.value_range`, the result is not clipped.
    Raises `SparsrError` for a layer kind without a writer.
    """
    writer = _Writer(graph)
    for node in graph.nodes:
        if type(node.layer) not in _WRITERS:
            raise SparsrError(f"node {node.name}: ONNX has no writer for the layer {node.layer.kind}")
        sources = [writer.tensor(name) for name in node.inputs]
        _WRITERS[type(node.layer)](writer, node, node.layer, sources, writer.tensor(node.name))
    infos = _value_infos(graph, {name: writer.tensor(name) for name in writer.probe})
    first, last = infos.pop(graph.input), infos.pop(graph.output)
    body = helper.make_graph(
        writer.nodes, graph.name, [first], [last], writer.initialisers, value_info=list(infos.values())
    )
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="SparSR"
    )
    helper.set_model_props(model, dict(sorted((metadata or {}).items())))
    onnx.checker.check_model(model, full_check=True)
    return cast(bytes, model.SerializeToString(deterministic=True))


def operators(model: bytes) -> tuple[str, ...]:
    """Names of the operators an ONNX file uses, sorted."""
    return tuple(sorted({node.op_type for node in onnx.load_from_string(model).graph.node}))
