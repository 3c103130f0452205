"""Pixel shuffle for TFLite: DEPTH_TO_SPACE reads channels as (dy, dx, c), the graph as (c, dy, dx).

The order is moved into the convolution before the shuffle, where it costs nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Concat, Conv, DepthToSpace, SliceChannels


def dcr_order(channels: int, block: int) -> NDArray[np.intp]:
    """For each channel in (dy, dx, c) order, its index in (c, dy, dx) order."""
    return np.arange(channels).reshape(-1, block * block).T.reshape(-1)


def _permuted(conv: Conv, block: int) -> Conv:
    order = dcr_order(len(conv.bias), block)
    return replace(conv, weight=conv.weight[order], bias=conv.bias[order])


def _in_one(conv: Conv, label: str, shuffle: Node, block: int, source: str) -> list[Node]:
    """The permuted convolution named `label` that reads `source`, then the shuffle."""
    return [Node(label, _permuted(conv, block), (source,)), replace(shuffle, inputs=(label,))]


def _per_group(conv: Conv, label: str, shuffle: Node, block: int, source: str) -> list[Node]:
    """A grouped convolution can't exchange outputs between groups: convolve and shuffle each group by itself."""
    inputs = conv.weight.shape[1]
    nodes, parts = [], []
    pairs = zip(np.split(conv.weight, conv.groups), np.split(conv.bias, conv.groups), strict=True)
    for group, (weight, bias) in enumerate(pairs):
        single = replace(conv, weight=weight, bias=bias, groups=1)
        piece, part = f"{label}.input{group}", replace(shuffle, name=f"{shuffle.name}.group{group}")
        nodes.append(Node(piece, SliceChannels(group * inputs, (group + 1) * inputs), (source,)))
        nodes += _in_one(single, f"{label}.group{group}", part, block, piece)
        parts.append(part.name)
    return [*nodes, Node(shuffle.name, Concat(), tuple(parts))]


def _own_conv(graph: DeployGraph, shuffle: Node, block: int) -> Node | None:
    """The convolution that feeds only this shuffle and whose groups hold whole output channels, if there is one."""
    source = shuffle.inputs[0]
    if source in (graph.input, graph.output) or len(graph.consumers(source)) > 1:
        return None
    node = graph.node(source)
    fits = isinstance(node.layer, Conv) and len(node.layer.bias) // node.layer.groups % block**2 == 0
    return node if fits else None


def with_dcr_shuffles(graph: DeployGraph) -> DeployGraph:
    """The same network for a writer whose `DepthToSpace` takes (dy, dx, c) order."""
    channels = {name: shape[0] for name, shape in graph.shapes(64, 64).items()}
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        nodes[node.name] = node
        if not isinstance(node.layer, DepthToSpace):
            continue
        source, block = node.inputs[0], node.layer.block
        conv = _own_conv(graph, node, block)
        if conv is None:
            # A 1x1 convolution that only moves channels.
            count = channels[source]
            identity = Conv(np.eye(count, dtype=np.float32)[:, :, None, None], np.zeros(count, np.float32))
            added = _in_one(identity, f"{node.name}.order", node, block, source)
        else:
            assert isinstance(conv.layer, Conv)
            del nodes[conv.name]
            write = _in_one if conv.layer.groups == 1 else _per_group
            added = write(conv.layer, conv.name, node, block, conv.inputs[0])
        del nodes[node.name]
        nodes |= {new.name: new for new in added}
    return graph.with_nodes(list(nodes.values()))
