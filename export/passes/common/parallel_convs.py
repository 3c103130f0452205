"""Conv(x) + (Conv | ChannelAffine)(x) -> Conv(x): branches that only training needs (RepVGG, ECB).

Kernels add up where their taps read the same pixels. An identity beside a convolution stays a sum: it costs nothing,
and as a weight of 1 among small ones it would make Winograd's rounding larger.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Add, ChannelAffine, Conv
from sparsr.export.passes.rewrite import only_reader
from sparsr.runtime.samples import FloatArray


def parallel_convs(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Join two linear branches of a sum."""
    if not isinstance(node.layer, Add):
        return None
    sides = [graph.producer(tensor) for tensor in node.inputs]
    first, second = sides[0], sides[1]
    if first is None or second is None or first is second or first.inputs != second.inputs:
        return None
    if not isinstance(first.layer, Conv):
        first, second = second, first
    if not isinstance(first.layer, Conv) or not isinstance(second.layer, Conv | ChannelAffine):
        return None
    if not only_reader(graph, first.name) or not only_reader(graph, second.name):
        return "one of the branches is read elsewhere too"
    joined = _joined(first.layer, _as_conv(second.layer, first.layer))
    if isinstance(joined, str):
        return joined
    conv = Node(node.name, replace(joined, activation=node.layer.activation), first.inputs)
    branches = {first.name, second.name}
    nodes = [conv if other is node else other for other in graph.nodes if other.name not in branches]
    return graph.with_nodes(nodes)


def _as_conv(layer: Conv | ChannelAffine, like: Conv) -> Conv:
    """A scale and an offset per channel as a 1x1 convolution with the groups of another one."""
    if isinstance(layer, Conv):
        return layer
    channels, groups = len(layer.factor), like.groups
    weight = np.diag(layer.factor).reshape(groups, channels // groups, groups, channels // groups)
    own = np.ascontiguousarray(weight[np.arange(groups), :, np.arange(groups)]).reshape(channels, -1, 1, 1)
    return Conv(own.astype(np.float32), layer.offset, groups=groups)


def _joined(first: Conv, second: Conv) -> Conv | str:
    if first.activation is not None or second.activation is not None:
        return "a function comes before the sum"
    if first.groups != second.groups or first.stride != second.stride:
        return "the branches have different groups or strides"
    padding = tuple(map(max, zip(first.padding, second.padding, strict=True)))
    kernels = [_widened(conv, padding) for conv in (first, second)]
    if kernels[0].shape != kernels[1].shape:
        return "the branches read different places"
    if kernels[0].size > first.weight.size + second.weight.size:
        return "one convolution would cost more than both"
    weight = kernels[0].astype(np.float64) + kernels[1]
    bias = first.bias.astype(np.float64) + second.bias
    return replace(
        first,
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        padding=padding,  # type: ignore[arg-type]
    )


def _widened(conv: Conv, padding: tuple[int, ...]) -> FloatArray:
    """The kernel with zeros around it, as if its input were padded so."""
    more = [wanted - own for wanted, own in zip(padding, conv.padding, strict=True)]
    return np.pad(conv.weight, ((0, 0), (0, 0), (more[0], more[2]), (more[1], more[3])))
