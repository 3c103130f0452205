"""DeployGraph -> ONNX: one node `sparsr.Stream`, whose meaning a function of standard operators defines.

Where libsparsr is registered its kernel runs the whole network from the program in the node's attribute. Everyone else
(ONNX Runtime since 1.12, onnx.reference, ...) puts the function in the node's place. Both read the same initialisers:
N:M weights are stored once and compressed; the function spreads them out, which is done while a session loads.
A network with layers libsparsr does not know is written without the node, as plain ONNX.

The function is opset 17, NCHW, with dynamic height and width: one short Python function per layer kind. Writing is a
pure function of the graph: same graph, same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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
from sparsr.export.passes.tflite.masked_layers import masked_layers
from sparsr.export.writers.native import Packed, Tensors, compressed, make_program, program_text, unknown_layer
from sparsr.runtime.errors import SparsrError

DOMAIN, OPERATOR = "sparsr", "Stream"
OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "image", "upscaled"
_PROBES = ((61, 83), (64, 64), (127, 96))  # image sizes that tell the rule behind each dimension


class _Writer:
    """Collects nodes and constants while the graph is walked."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.probe = graph.shapes(*_PROBES[0])
        self.nodes: list[onnx.NodeProto] = []
        self.constants: Tensors = {}

    def tensor(self, name: str) -> str:
        """Name in the file of a tensor of the graph: only the two ends are renamed."""
        return {self.graph.input: INPUT, self.graph.output: OUTPUT}.get(name, name)

    def op(self, operator: str, name: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node called `name` that writes the tensor `output`."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name, **attributes))
        return output

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        """Add a constant."""
        self.constants[name] = np.ascontiguousarray(value, dtype)
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
    packed = compressed(layer.weight)
    weight = _spread(w, node, layer, packed) if packed else w.constant(f"{node.name}.weight", layer.weight)
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


def _spread(w: _Writer, node: Node, layer: Conv, packed: Packed) -> str:
    """Append what makes the whole weight from values and their places in every group of M input channels."""
    name, inputs = node.name, layer.weight.shape[1]
    shape = packed.values.shape
    values = w.constant(f"{name}.values", packed.values)
    indices = w.constant(f"{name}.indices", packed.indices, np.uint8)
    grouped = w.constant(f"{name}.grouped", [*shape[:4], packed.m], np.int64)
    zeros = w.op("ConstantOfShape", f"{name}.zeros", [grouped], f"{name}.zeros")
    places = w.op("Cast", f"{name}.places", [indices], f"{name}.places", to=TensorProto.INT64)
    # Groups with fewer weights are filled up with zeros at place 0: they must not replace what stands there.
    summed = {"axis": -1, "reduction": "add"}
    filled = w.op("ScatterElements", f"{name}.filled", [zeros, places, values], f"{name}.filled", **summed)
    lines = w.constant(f"{name}.lines", [*shape[:3], shape[3] * packed.m], np.int64)
    channels = w.op("Reshape", f"{name}.channels_last", [filled, lines], f"{name}.channels_last")
    if shape[3] * packed.m > inputs:
        bounds = {"first": 0, "end": inputs, "axis": 3}
        constants = [w.constant(f"{name}.{key}", [value], np.int64) for key, value in bounds.items()]
        channels = w.op("Slice", f"{name}.cut", [channels, *constants], f"{name}.cut")
    return w.op("Transpose", f"{name}.weight", [channels], f"{name}.weight", perm=[0, 3, 1, 2])


def _channel_affine(w: _Writer, node: Node, layer: ChannelAffine, x: list[str], y: str) -> None:
    name = node.name
    axes = w.constant(f"{name}.axes", [0, 2, 3], np.int64)
    factor, offset = (
        w.op("Unsqueeze", f"{name}.{key}.map", [w.constant(f"{name}.{key}", values), axes], f"{name}.{key}.map")
        for key, values in (("factor", layer.factor), ("offset", layer.offset))
    )
    scaled = w.op("Mul", f"{name}.mul", [x[0], factor], f"{name}.scaled")
    w.op("Add", name, [scaled, offset], y)


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
        weight = w.constant(f"{name}.weight{index}", part.weight)
        whole = _bare_conv(w, f"{own}.whole", source, weight)
        share = mask
        if part.everywhere.any():
            dense = w.constant(f"{own}.dense", part.everywhere.reshape(1, -1, 1, 1))
            share = w.op("Max", f"{own}.share", [mask, dense], f"{own}.share")
        linear = w.op("Mul", f"{own}.masked", [whole, share], f"{own}.masked")
        if part.quiet is not None:
            kept = w.constant(f"{own}.kept", part.quiet[:, :, None, None])
            dense = w.op("Mul", f"{own}.quiet_weight", [weight, kept], f"{own}.quiet_weight")
            quiet = _bare_conv(w, f"{own}.quiet", source, dense)
            elsewhere = w.op("Mul", f"{own}.elsewhere", [quiet, rest], f"{own}.elsewhere")
            linear = w.op("Add", f"{own}.both", [linear, elsewhere], f"{own}.both")
        source = w.op("Relu", own, [linear], own)
        results.append(source)
    joined = w.op("Concat", f"{name}.joined", results, f"{name}.joined", axis=1)
    weight = w.constant(f"{name}.fuse_weight", layer.fuse_weight[:, :, None, None])
    bias = w.constant(f"{name}.fuse_bias", layer.fuse_bias)
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


def _bare_conv(w: _Writer, name: str, source: str, weight: str) -> str:
    """A 3x3 convolution without bias."""
    return w.op("Conv", name, [source, weight], name, kernel_shape=[3, 3], pads=[1] * 4)


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


def _ends(graph: DeployGraph) -> tuple[onnx.ValueInfoProto, onnx.ValueInfoProto]:
    """Type and shape of the image and of the result."""
    probes = [graph.shapes(height, width) for height, width in _PROBES]
    heights, widths = zip(*_PROBES, strict=True)
    infos = []
    for tensor, name in ((graph.input, INPUT), (graph.output, OUTPUT)):
        shape = [
            1,
            probes[0][tensor][0],
            _dimension("height", [probe[tensor][1] for probe in probes], heights),
            _dimension("width", [probe[tensor][2] for probe in probes], widths),
        ]
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return infos[0], infos[1]


def _scales(graph: DeployGraph) -> bool:
    """Whether the result of every image is `graph.scale` times as high and wide."""
    sizes = [(size, graph.shapes(*size)[graph.output][1:]) for size in _PROBES]
    return all(result == (graph.scale * height, graph.scale * width) for (height, width), result in sizes)


def _walk(graph: DeployGraph) -> _Writer:
    writer = _Writer(graph)
    for node in graph.nodes:
        if type(node.layer) not in _WRITERS:
            raise SparsrError(f"node {node.name}: ONNX has no writer for the layer {node.layer.kind}")
        sources = [writer.tensor(name) for name in node.inputs]
        _WRITERS[type(node.layer)](writer, node, node.layer, sources, writer.tensor(node.name))
    return writer


def _stream(graph: DeployGraph, writer: _Writer) -> tuple[onnx.NodeProto, onnx.FunctionProto, Tensors]:
    """The node, the function that defines it, and the node's constant inputs."""
    program, tensors = make_program(graph)
    attributes: dict[str, Any] = {
        "program": program_text(program | {"tensors": list(tensors)}),
        "channels": writer.probe[graph.output][0],
        "scale": graph.scale if _scales(graph) else 0,
    }
    inner = [
        helper.make_node("Constant", [], [name], name, value=numpy_helper.from_array(value, name))
        for name, value in writer.constants.items()
        if name not in tensors
    ]
    inputs, opsets = [INPUT, *tensors], [helper.make_opsetid("", OPSET)]
    node = helper.make_node(OPERATOR, inputs, [OUTPUT], graph.name, domain=DOMAIN, **attributes)
    function = helper.make_function(
        DOMAIN, OPERATOR, inputs, [OUTPUT], [*inner, *writer.nodes], opsets, list(attributes)
    )
    return node, function, tensors


def write_onnx(graph: DeployGraph, metadata: Mapping[str, str] | None = None) -> bytes:
    """The graph as a checked ONNX file; float32 `image` [1, 3, height, width] -> `upscaled` [1, 3, s*h, s*w].

    Nodes and their outputs have the graph's names, initialisers are the program's tensors by name (a convolution's
    `<node>.weight` and `<node>.bias`); `metadata` becomes the file's metadata_props. Values are 0..`graph.value_range`,
    the result is not clipped. Raises `SparsrError` for a layer kind without a writer.
    """
    writer = _walk(graph)
    nodes, functions, constants = writer.nodes, [], writer.constants
    if unknown_layer(graph) is None:
        node, function, constants = _stream(graph, writer)
        nodes, functions = [node], [function]
    image, upscaled = _ends(graph)
    initialisers = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    body = helper.make_graph(nodes, graph.name, [image], [upscaled], initialisers)
    opsets = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(DOMAIN, 1)] * len(functions)
    model = helper.make_model(
        body, functions=functions, opset_imports=opsets, ir_version=IR_VERSION, producer_name="SparSR"
    )
    helper.set_model_props(model, dict(sorted((metadata or {}).items())))
    onnx.checker.check_model(model, full_check=True)
    return cast(bytes, model.SerializeToString(deterministic=True))


def operators(model: bytes) -> tuple[str, ...]:
    """Names of the operators an ONNX file uses, those of its functions included, sorted."""
    loaded = onnx.load_from_string(model)
    nodes = [node for part in (loaded.graph, *loaded.functions) for node in part.node]
    return tuple(sorted({".".join(filter(None, (node.domain, node.op_type))) for node in nodes}))
