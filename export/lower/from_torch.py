"""Lowering: a torch network becomes a DeployGraph, operation by operation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
from torch import nn

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
    Join,
    Layer,
    MaxPool,
    Mul,
    Nearest,
    PadToEven,
    PadToMultiple,
    Part,
    ResizeLike,
    Shape,
    SliceChannels,
)
from sparsr.export.lower.compounds import COMPOUNDS
from sparsr.export.lower.ranges import VALUE_RANGE
from sparsr.export.lower.trainable import as_graph
from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.graph import GraphNetwork
from sparsr.train.networks.tracing import Operation, trace
from sparsr.train.networks.weight_norm import merge_weight_norm
from sparsr.train.networks.widths import convolutions


def lower(network: SRNetwork, name: str) -> DeployGraph:
    """The DeployGraph `name` of `network`, layer for layer as the network computes it; `passes` simplify it.

    Weight normalisation is merged. Image and result hold 0..255: a network made for 0..1 gets a scale at
    either end. One that came as a graph gives that graph back. Raises `SparsrError` naming module and operation for
    what the layer kinds cannot express.
    """
    if isinstance(network, GraphNetwork):
        return as_graph(network, name)
    plain = copy.deepcopy(network).cpu().float().eval()
    merge_weight_norm(plain)
    traced = trace(plain)
    # An image larger than every kernel, so that no map can be taken for the single pixel of a GlobalMean.
    side = 64 + plain.minimum_size
    writer = _Writer({traced.input: (traced.input_channels, side, side)})
    image = writer.rescale("to_network_range", traced.input, plain.value_range / VALUE_RANGE)
    tensors = {traced.input: image}  # the graph's tensor for each of the trace's
    convs = convolutions(plain)
    for operation in traced.operations:
        inputs = [tensors[tensor] for tensor in operation.inputs]
        if operation.kind == "identity":
            tensors[operation.name] = inputs[0]
        elif operation.kind in COMPOUNDS:
            module = plain.get_submodule(operation.module)
            tensors[operation.name] = operation.name
            for suffix, layer in COMPOUNDS[operation.kind](operation, module):
                inputs = [writer.append(operation.name + suffix, layer, inputs)]
        else:
            if operation.kind == "sub":
                negated = _affine(operation.channels, -1.0, 0.0)
                inputs = [inputs[0], writer.append(f"{operation.name}.negated", negated, inputs[1:])]
            tensors[operation.name] = writer.append(operation.name, _layer(operation, convs), inputs)
    output = writer.rescale("to_image_range", tensors[traced.output], VALUE_RANGE / plain.value_range)
    return DeployGraph(
        name=name,
        nodes=tuple(writer.nodes),
        output=output,
        scale=plain.scale,
        value_range=VALUE_RANGE,
        input=traced.input,
        input_channels=traced.input_channels,
        minimum_size=plain.minimum_size,
    )


class _Writer:
    """The nodes so far, and the shapes of their tensors for some large image."""

    def __init__(self, shapes: dict[str, Shape]) -> None:
        self.nodes: list[Node] = []
        self.shapes = shapes

    def append(self, name: str, layer: Layer, inputs: list[str]) -> str:
        """Add a node and return the name of its tensor."""
        if isinstance(layer, Add | Mul):
            inputs = self._ordered(name, layer, inputs)
        self.nodes.append(Node(name, layer, tuple(inputs)))
        self.shapes[name] = layer.output_shape(*(self.shapes[tensor] for tensor in inputs))
        return name

    def rescale(self, name: str, tensor: str, factor: float) -> str:
        """`tensor` times `factor`; `tensor` itself if that is 1."""
        if factor == 1.0:
            return tensor
        return self.append(name, _affine(self.shapes[tensor][0], factor, 0.0), [tensor])

    def _ordered(self, name: str, layer: Layer, inputs: list[str]) -> list[str]:
        """The inputs of a sum or product, the larger one first."""
        inputs = sorted(inputs, key=lambda tensor: -self.shapes[tensor][1])  # stable for equal sizes
        first, second = (self.shapes[tensor] for tensor in inputs)
        if first != second and not (isinstance(layer, Mul) and second == (first[0], 1, 1)):
            raise SparsrError(
                f"{name}: the operation {layer.kind} of shapes {first} and {second} is not supported",
                "equal shapes are, and products with one value per channel",
            )
        return inputs


def _layer(operation: Operation, convs: Mapping[str, nn.Conv2d]) -> Layer:
    if operation.kind == "conv":
        return _conv(operation.module, convs[operation.module])
    return _LAYERS[operation.kind](operation)


def _conv(name: str, conv: nn.Conv2d) -> Conv:
    padding = conv.padding if isinstance(conv.padding, tuple) else (-1, -1)  # torch also knows "same", "valid"
    plain = conv.stride[0] == conv.stride[1] and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    if not plain or min(padding) < 0:
        raise SparsrError(
            f"{name}: the operation Conv2d with stride {conv.stride}, dilation {conv.dilation}, padding "
            f"{conv.padding} ({conv.padding_mode}) is not supported",
            "equal strides, dilation 1 and a number of zeros as padding are",
        )
    bias = np.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().numpy()
    return Conv(
        np.array(conv.weight.detach().numpy(), np.float32),
        np.array(bias, np.float32),
        conv.stride[0],
        (padding[0], padding[1], padding[0], padding[1]),
        conv.groups,
    )


def _affine(channels: int, factor: float, offset: float) -> ChannelAffine:
    return ChannelAffine(np.full(channels, factor, np.float32), np.full(channels, offset, np.float32))


_LAYERS: dict[str, Callable[[Operation], Layer]] = {
    "relu": lambda operation: Activation("relu"),
    "leaky_relu": lambda operation: Activation("leaky_relu", operation.options["slope"]),
    "sigmoid": lambda operation: Activation("sigmoid"),
    "silu": lambda operation: Activation("silu"),
    "tanh": lambda operation: Activation("tanh"),
    "clip": lambda operation: Activation("clip", **operation.options),
    "affine": lambda operation: _affine(operation.channels, **operation.options),
    "add": lambda operation: Add(),
    "sub": lambda operation: Add(),
    "mul": lambda operation: Mul(),
    "concat": lambda operation: Concat(),
    "slice": lambda operation: SliceChannels(**operation.options),
    "mean": lambda operation: GlobalMean(),
    "std": lambda operation: GlobalStd(),
    "avg_pool": lambda operation: AvgPool(**operation.options),
    "max_pool": lambda operation: MaxPool(**operation.options),
    "pad_to_even": lambda operation: PadToEven(),
    "pad_to_multiple": lambda operation: PadToMultiple(**operation.options),
    "crop_like": lambda operation: CropLike(**operation.options),
    "part": lambda operation: Part(**operation.options),
    "join": lambda operation: Join(**operation.options),
    "resize": lambda operation: ResizeLike(),
    "nearest": lambda operation: Nearest(**operation.options),
    "pixel_shuffle": lambda operation: DepthToSpace(**operation.options),
}
