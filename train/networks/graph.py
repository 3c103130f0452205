"""A network that came as a graph, an ONNX file or a user's module, made trainable: `sparsr prune` works on it.

Its layers are the exporter's, by their names; what a kind means is told by its reference in `export/ir/operators`,
which the tests compare this with. Kinds are rows of `KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import ChannelAffine, LumaNetwork
from sparsr.train.networks.sizes import CropLike, PadToEven, PadToMultiple

MAX_LAYERS = 4096
MAX_NUMBER = 1 << 14  # no attribute of a real network comes near; a hostile card must not exhaust memory
_BOUNDS = ("low", "high")  # of a clip, as large as floats are where it has none
IMAGE = "image"


@dataclass(frozen=True)
class GraphLayer:
    """One layer: reads the tensors `inputs`, writes the tensor `name`; `IMAGE` is the network's input.

    `options` are the fields of the exporter's layer that are no arrays, `shapes` the arrays' by name.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class GraphNetwork(LumaNetwork):
    """The layers one after the other; the last one's tensor is the result.

    Convolutions, slopes of PReLU and gains of normalisations learn; fixed factors do not. Raises ValueError, TypeError
    or KeyError for layers that make no network.
    """

    architecture = "graph"

    def __init__(
        self,
        scale: int,
        layers: Sequence[Mapping[str, Any]] = (),
        colours: int = 3,
        value_range: float = 255.0,
        minimum_size: int = 1,
    ) -> None:
        super().__init__(scale, colours, value_range=value_range, minimum_size=minimum_size)
        self.value_range, self.minimum_size = value_range, minimum_size
        self.layers = tuple(_checked(layer) for layer in layers)
        """What the network is made of, for its card."""
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ValueError(f"a graph of {len(self.layers)} layers")
        self.steps = nn.ModuleList(KINDS[layer.kind](layer) for layer in self.layers)
        known = {IMAGE}
        for layer in self.layers:
            if not known.issuperset(layer.inputs) or layer.name in known:
                raise ValueError(f"layer {layer.name} reads what is not there, or is there twice")
            known.add(layer.name)
        last_use = {name: index for index, layer in enumerate(self.layers) for name in layer.inputs}
        self._done_after: list[list[str]] = [[] for _ in self.layers]
        for name, index in last_use.items():
            self._done_after[index].append(name)

    def restore(self, x: Tensor) -> Tensor:
        """[n, colours, h, w] in 0..value_range -> [n, colours, s*h, s*w]."""
        tensors = {IMAGE: x}
        for layer, step, done in zip(self.layers, self.steps, self._done_after, strict=True):
            x = tensors[layer.name] = step(*[tensors[name] for name in layer.inputs])
            for name in done:
                del tensors[name]
        return x


class _Function(nn.Module):
    """A layer without weights."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the function makes of the inputs."""
        return self.function(*inputs)


class _Norm(nn.Module):
    """(x - mean) / sqrt(variance + epsilon) over `axes`, times a gain, plus a shift per channel; variance over n."""

    def __init__(self, layer: GraphLayer, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.gain, self.shift = (nn.Parameter(torch.empty(layer.shapes[name])) for name in ("gain", "shift"))
        self.epsilon, self.axes = float(layer.options["epsilon"]), axes

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same."""
        variance, mean = torch.var_mean(x, self.axes, correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + self.epsilon) * self.gain[:, None, None] + self.shift[:, None, None]


def _conv(layer: GraphLayer) -> nn.Module:
    outputs, inputs, height, width = layer.shapes["weight"]
    top, left, bottom, right = layer.options["padding"]
    even = top == bottom and left == right
    conv = nn.Conv2d(
        inputs * layer.options["groups"],
        outputs,
        (height, width),
        layer.options["stride"],
        (top, left) if even else 0,
        groups=layer.options["groups"],
    )
    return conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)


def _activation(layer: GraphLayer) -> nn.Module:
    if layer.options["function"] == "prelu":
        return nn.PReLU(layer.shapes["slopes"][0])
    slope, low, high = (float(layer.options[name]) for name in ("slope", "low", "high"))
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": F.relu,
        "leaky_relu": lambda x: F.leaky_relu(x, slope),
        "sigmoid": torch.sigmoid,
        "silu": F.silu,
        "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "mish": F.mish,
        "hardswish": F.hardswish,
        "tanh": torch.tanh,
        "clip": lambda x: x.clamp(low, high),
        "elu": F.elu,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "reciprocal": torch.reciprocal,
        "sin": torch.sin,
        "cos": torch.cos,
        "sign": torch.sign,
        "floor": torch.floor,
        "ceil": torch.ceil,
        "round": torch.round,
    }
    return _Function(functions[layer.options["function"]])


def _depth_to_space(layer: GraphLayer) -> nn.Module:
    block = layer.options["block"]
    if layer.options["order"] == "CRD":
        return nn.PixelShuffle(block)

    def tflite_order(x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        phases = x.view(batch, block * block, channels // block**2, height, width).transpose(1, 2)
        return F.pixel_shuffle(phases.reshape(x.shape), block)

    return _Function(tflite_order)


def _pad(mode: str) -> Callable[[GraphLayer], nn.Module]:
    def build(layer: GraphLayer) -> nn.Module:
        top, left, bottom, right = layer.options["padding"]
        return _Function(lambda x: F.pad(x, (left, right, top, bottom), mode))

    return build


def _crop(layer: GraphLayer) -> nn.Module:
    top, left, bottom, right = layer.options["amount"]
    return _Function(lambda x: x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right])


def _slice(layer: GraphLayer) -> nn.Module:
    start, stop = layer.options["start"], layer.options["stop"]
    return _Function(lambda x: x[:, start:stop])


def _part(layer: GraphLayer) -> nn.Module:
    axis, index, count = (layer.options[name] for name in ("axis", "index", "count"))
    return _Function(lambda x: torch.chunk(x, count, 2 + axis)[index])


def _pool(function: Callable[..., Tensor]) -> Callable[[GraphLayer], nn.Module]:
    return lambda layer: _Function(lambda x: function(x, layer.options["kernel"], layer.options["stride"]))


def _plain(function: Callable[..., Tensor]) -> Callable[[GraphLayer], nn.Module]:
    return lambda layer: _Function(function)


def _resize_like(layer: GraphLayer) -> nn.Module:
    mode = layer.options.get("mode", "linear")
    options = {"mode": "nearest"} if mode == "nearest" else {"mode": "bilinear", "align_corners": mode == "corners"}
    return _Function(lambda x, like: F.interpolate(x, like.shape[2:], **options))


KINDS: dict[str, Callable[[GraphLayer], nn.Module]] = {
    "Activation": _activation,
    "Add": _plain(torch.add),
    "AvgPool": _pool(F.avg_pool2d),
    "ChannelAffine": lambda layer: ChannelAffine(layer.shapes["factor"][0]),
    "ChannelNorm": lambda layer: _Norm(layer, (1,)),
    "ChannelSoftmax": _plain(lambda x: x.softmax(1)),
    "Concat": _plain(lambda *inputs: torch.cat(inputs, 1)),
    "Conv": _conv,
    "Crop": _crop,
    "CropLike": lambda layer: CropLike(layer.options.get("most", 1)),
    "DepthToSpace": _depth_to_space,
    "GlobalMax": _plain(lambda x: x.amax((2, 3), keepdim=True)),
    "GlobalMean": _plain(lambda x: x.mean((2, 3), keepdim=True)),
    "GlobalStd": _plain(lambda x: x.std((2, 3), correction=0, keepdim=True)),
    "InstanceNorm": lambda layer: _Norm(layer, (2, 3)),
    "Join": lambda layer: _Function(lambda *parts: torch.cat(parts, 2 + layer.options["axis"])),
    "LineMax": lambda layer: _Function(lambda x: x.amax(2 + layer.options["axis"], keepdim=True)),
    "LineMean": lambda layer: _Function(lambda x: x.mean(2 + layer.options["axis"], keepdim=True)),
    "MaxPool": _pool(F.max_pool2d),
    "Mul": _plain(torch.mul),
    "Nearest": lambda layer: _Function(lambda x: F.interpolate(x, scale_factor=layer.options["factor"])),
    "PadEdge": _pad("replicate"),
    "PadReflect": _pad("reflect"),
    "PadToEven": lambda layer: PadToEven(),
    "PadToMultiple": lambda layer: PadToMultiple(layer.options["rows"], layer.options["columns"]),
    "Part": _part,
    "ResizeLike": _resize_like,
    "SliceChannels": _slice,
}


def _checked(raw: Mapping[str, Any]) -> GraphLayer:
    """From a card: nothing but a known kind, short lists of small numbers and words."""
    layer = GraphLayer(
        str(raw["name"]),
        str(raw["kind"]),
        tuple(map(str, raw["inputs"])),
        dict(raw["options"]),
        {str(name): tuple(map(int, shape)) for name, shape in raw["shapes"].items()},
    )
    if layer.kind not in KINDS:
        raise ValueError(f"layer {layer.name} is a {layer.kind[:40]!r}, which no graph network has")
    for name, value in layer.options.items():
        numbers = value if isinstance(value, list | tuple) else [value]
        if name in _BOUNDS and isinstance(value, float) and math.isfinite(value):
            continue
        if not all(isinstance(n, str) or (isinstance(n, int | float) and abs(n) <= MAX_NUMBER) for n in numbers):
            raise ValueError(f"layer {layer.name} has options out of range")
    if any(not 0 < side <= MAX_NUMBER for shape in layer.shapes.values() for side in shape):
        raise ValueError(f"layer {layer.name} has impossible sizes")
    return layer
