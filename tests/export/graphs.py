"""Small DeployGraphs with random weights, and a torch executor of them as an independent oracle."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from sparsr.export.ir import layers as L
from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.train.networks.sparse_masks import MaskedConv2d, SparseMaskBlock

RELU = L.Activation("relu")
LEAKY = L.Activation("leaky_relu", 0.05)
SIGMOID = L.Activation("sigmoid")
SILU = L.Activation("silu")
GELU, GELU_TANH, MISH, HARDSWISH, TANH, ELU = (
    L.Activation(f) for f in ("gelu", "gelu_tanh", "mish", "hardswish", "tanh", "elu")
)
CLIP = L.Activation("clip", low=0.2, high=0.7)


def prelu(rng, channels):
    """Slopes of any sign and size, as public networks have them."""
    return L.Activation("prelu", slopes=rng.uniform(-1.6, 1.9, channels).astype(np.float32))


def conv(rng, inputs, outputs, kernel=3, activation=None, groups=1, stride=1, padding=None):
    """A convolution whose outputs stay about as large as its inputs."""
    fan_in = inputs // groups * kernel**2
    weight = rng.normal(0, fan_in**-0.5, (outputs, inputs // groups, kernel, kernel)).astype(np.float32)
    bias = rng.normal(0, 0.1, outputs).astype(np.float32)
    side = kernel // 2
    padding = (side,) * 4 if padding is None else padding
    return L.Conv(weight, bias, stride, padding, groups, activation)


class Foreign(L.PadReflect):
    """A layer that the native engine does not know."""

    native_kind = None


def norm(rng, kind, channels, epsilon=1e-5):
    """A normalisation with gains of either sign."""
    return kind(*rng.normal(0, 1, (2, channels)).astype(np.float32), epsilon)


def chain(name, *layers, scale=1, minimum_size=1, value_range=1.0):
    """Layers one after the other; an entry may be `(layer, [input names])` or `(name, layer, [input names])`."""
    nodes, last = [], "image"
    for index, entry in enumerate(layers):
        label, layer, inputs = _entry(entry, f"n{index}", last)
        nodes.append(Node(label, layer, inputs))
        last = label
    return DeployGraph(name, tuple(nodes), last, scale, value_range, minimum_size=minimum_size)


def _entry(entry, label, last):
    if isinstance(entry, L.Layer):
        return label, entry, (last,)
    if len(entry) == 2:
        return label, entry[0], tuple(entry[1])
    return entry[0], entry[1], tuple(entry[2])


def masked_graph(rng, channels, dense, logits=None):
    """A masked block with the `dense` channels of each layer, between convolutions; `logits` is their layer."""
    mask = np.zeros((len(dense), channels), bool)
    for row, own in zip(mask, dense, strict=True):
        row[own] = True
    weights = tuple(conv(rng, channels, channels).weight * np.float32(1.4) for _ in dense)
    fuse = conv(rng, len(dense) * channels, channels, 1)
    return chain(
        "masked",
        ("features", conv(rng, 3, channels), ["image"]),
        ("logits", logits or conv(rng, channels, 2), ["features"]),
        ("block", L.MaskedBlock(weights, mask, fuse.weight[:, :, 0, 0], fuse.bias), ["features", "logits"]),
        conv(rng, channels, 3),
    )


def small_network(seed=0, scale=2, channels=8, value_range=255.0):
    """A residual network with every trick at once: mean shift, skip, slices, attention, shuffle."""
    rng = np.random.default_rng(seed)
    mean = np.array([114.4, 111.5, 103.0], np.float32)
    unit = np.ones(3, np.float32)
    return chain(
        "small",
        ("sub_mean", L.ChannelAffine(unit / 255, -mean / 255), ["image"]),
        ("head", conv(rng, 3, channels), ["sub_mean"]),
        ("body.0", conv(rng, channels, channels, activation=RELU), ["head"]),
        ("body.1", conv(rng, channels, channels), ["body.0"]),
        ("body.2", L.Add(), ["body.1", "head"]),
        ("tail", conv(rng, channels, 3 * scale**2), ["body.2"]),
        ("shuffle", L.DepthToSpace(scale), ["tail"]),
        ("add_mean", L.ChannelAffine(255 * unit, mean), ["shuffle"]),
        scale=scale,
        value_range=value_range,
    )


def _activate(activation, x):
    if activation is None:
        return x
    slope = activation.slope
    return {
        "relu": F.relu,
        "leaky_relu": lambda t: F.leaky_relu(t, slope),
        "prelu": lambda t: F.prelu(t, torch.from_numpy(activation.slopes)),
        "sigmoid": torch.sigmoid,
        "silu": F.silu,
        "tanh": torch.tanh,
        "gelu": F.gelu,
        "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"),
        "mish": F.mish,
        "hardswish": F.hardswish,
        "clip": lambda t: t.clamp(activation.low, activation.high),
        "elu": F.elu,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "reciprocal": torch.reciprocal,
        **{name: getattr(torch, name) for name in ("sin", "cos", "sign", "floor", "ceil", "round")},
    }[activation.function](x)


def _conv(layer, x):
    top, left, bottom, right = layer.padding
    x = F.pad(x, (left, right, top, bottom))
    y = F.conv2d(x, torch.from_numpy(layer.weight), torch.from_numpy(layer.bias), layer.stride, groups=layer.groups)
    return _activate(layer.activation, y)


def _masked(layer, x, logits):
    block = SparseMaskBlock(layer.dense.shape[1])
    block.body = torch.nn.Sequential(*(MaskedConv2d(weight.shape[0]) for weight in layer.weights))
    for conv, weight in zip(block.body, layer.weights, strict=True):
        conv.weight = torch.nn.Parameter(torch.from_numpy(weight))
    outputs, inputs = layer.fuse_weight.shape
    block.collect = torch.nn.Conv2d(inputs, outputs, 1)
    values = {"weight": layer.fuse_weight[:, :, None, None], "bias": layer.fuse_bias}
    block.collect.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
    block.ch_mask = torch.nn.Parameter(
        torch.from_numpy(np.float32([layer.dense, ~layer.dense]).transpose(2, 1, 0)[None])
    )
    with torch.no_grad():
        return block.eval()(x, logits)


def _reflected(layer, x):
    return F.pad(x, [layer.padding[i] for i in (1, 3, 0, 2)], mode="reflect")


RESIZING = {
    "linear": {"mode": "bilinear", "align_corners": False},
    "corners": {"mode": "bilinear", "align_corners": True},
    "nearest": {"mode": "nearest"},
}
_RULES = {
    L.Activation: lambda layer, x: _activate(layer, x),
    L.Conv: _conv,
    L.ChannelAffine: lambda layer, x: (
        x * torch.from_numpy(layer.factor)[:, None, None] + torch.from_numpy(layer.offset)[:, None, None]
    ),
    L.Add: lambda layer, a, b: _activate(layer.activation, a + b),
    L.Mul: lambda layer, a, b: a * b,
    L.Concat: lambda layer, *xs: torch.cat(xs, 1),
    L.SliceChannels: lambda layer, x: x[:, layer.start : layer.stop],
    L.GlobalMean: lambda layer, x: x.mean((2, 3), keepdim=True),
    L.GlobalStd: lambda layer, x: x.std((2, 3), correction=0, keepdim=True),
    L.MaxPool: lambda layer, x: F.max_pool2d(x, layer.kernel, layer.stride),
    L.AvgPool: lambda layer, x: F.avg_pool2d(x, layer.kernel, layer.stride),
    L.MaskedBlock: _masked,
    L.PadToEven: lambda layer, x: F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate"),
    L.PadToMultiple: lambda layer, x: F.pad(
        x, (0, -x.shape[3] % layer.columns, 0, -x.shape[2] % layer.rows), mode="replicate"
    ),
    L.Part: lambda layer, x: x.chunk(layer.count, 2 + layer.axis)[layer.index],
    L.Join: lambda layer, *xs: torch.cat(xs, 2 + layer.axis),
    L.CropLike: lambda layer, x, like: x[:, :, : like.shape[2], : like.shape[3]],
    L.ResizeLike: lambda layer, a, b: F.interpolate(a, b.shape[2:], **RESIZING[layer.mode]),
    L.ChannelSoftmax: lambda layer, x: x.softmax(1),
    L.GlobalMax: lambda layer, x: x.amax((2, 3), keepdim=True),
    L.LineMean: lambda layer, x: x.mean(2 + layer.axis, keepdim=True),
    L.LineMax: lambda layer, x: x.amax(2 + layer.axis, keepdim=True),
    L.ChannelNorm: lambda layer, x: F.layer_norm(
        x.permute(0, 2, 3, 1), x.shape[1:2], torch.from_numpy(layer.gain), torch.from_numpy(layer.shift), layer.epsilon
    ).permute(0, 3, 1, 2),
    L.InstanceNorm: lambda layer, x: (
        (x - x.mean((2, 3), keepdim=True))
        * torch.rsqrt(x.var((2, 3), correction=0, keepdim=True) + layer.epsilon)
        * torch.from_numpy(layer.gain)[:, None, None]
        + torch.from_numpy(layer.shift)[:, None, None]
    ),
    L.PadEdge: lambda layer, x: F.pad(x, [layer.padding[i] for i in (1, 3, 0, 2)], mode="replicate"),
    L.PadReflect: _reflected,
    Foreign: _reflected,
    L.Crop: lambda layer, x: x[
        :, :, layer.amount[0] : x.shape[2] - layer.amount[2], layer.amount[1] : x.shape[3] - layer.amount[3]
    ],
    L.Nearest: lambda layer, x: F.interpolate(x, scale_factor=layer.factor, mode="nearest"),
    L.DepthToSpace: lambda layer, x: F.pixel_shuffle(x, layer.block),
}


def torch_run(graph, image):
    """[1, 3, h, w] float32 -> the graph's output, by torch's own functions."""
    tensors = {graph.input: torch.from_numpy(image)}
    for node in graph.nodes:
        tensors[node.name] = _RULES[type(node.layer)](node.layer, *(tensors[name] for name in node.inputs))
    return tensors[graph.output].numpy()


def random_image(graph, height, width, seed=0):
    """[1, 3, height, width] float32 in 0..value_range."""
    rng = np.random.default_rng([seed, height, width])
    return rng.uniform(0, graph.value_range, (1, graph.input_channels, height, width)).astype(np.float32)


def drawn_graph(channels, dense, seed):
    """A masked block whose mask is where the image's third colour exceeds 0.5; the features see the other two."""
    rng = np.random.default_rng(seed)
    logits = L.Conv(np.float32([[0, 0, 0], [0, 0, 1]])[:, :, None, None], np.float32([0.5, 0]))
    graph = masked_graph(rng, channels, dense, logits)
    nodes = [node for node in graph.nodes if node.name != "logits"]
    weight = conv(rng, 3, channels).weight
    weight[:, 2] = 0
    nodes[0] = chain("f", ("features", L.Conv(weight, np.zeros(channels, np.float32), 1, (1,) * 4), ["image"])).nodes[0]
    mask = chain("m", ("logits", logits, ["image"])).nodes[0]
    return graph.with_nodes([nodes[0], mask, *nodes[1:]])
