"""DepthToSpace(CRD) o Conv -> DepthToSpace(DCR) o Conv with its outputs in another order.

TFLite's DEPTH_TO_SPACE reads channels as (dy, dx, c), the graph as (c, dy, dx). The order is moved into the convolution
before the shuffle, where it costs nothing; where there is none, a 1x1 convolution that only moves channels is added.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Activation, Concat, Conv, DepthToSpace, SliceChannels
from sparsr.export.passes.rewrite import only_reader


def dcr_order(channels: int, block: int) -> NDArray[np.intp]:
    """For each channel in (dy, dx, c) order, its index in (c, dy, dx) order."""
    return np.arange(channels).reshape(-1, block * block).T.reshape(-1)


def dcr_shuffles(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Give one shuffle TFLite's order."""
    if not isinstance(node.layer, DepthToSpace) or node.layer.order == "DCR":
        return None
    source, block = node.inputs[0], node.layer.block
    shuffle = replace(node, layer=DepthToSpace(block, "DCR"))
    conv = _own_conv(graph, node, block)
    replaced = [node] if conv is None else [conv, node]
    if conv is None:
        count = graph.shapes(64, 64)[source][0]
        identity = Conv(np.eye(count, dtype=np.float32)[:, :, None, None], np.zeros(count, np.float32))
        added = _in_one(identity, f"{node.name}.order", shuffle, block, source)
    else:
        assert isinstance(conv.layer, Conv)
        write = _in_one if conv.layer.groups == 1 else _per_group
        added = write(conv.layer, conv.name, shuffle, block, conv.inputs[0])
    nodes = [other for other in graph.nodes if other not in replaced]
    position = graph.nodes.index(node) - (len(replaced) - 1)
    return graph.with_nodes([*nodes[:position], *added, *nodes[position:]])


def _own_conv(graph: DeployGraph, shuffle: Node, block: int) -> Node | None:
    """The convolution that feeds only this shuffle and whose groups hold whole output channels, if there is one."""
    source = shuffle.inputs[0]
    if source == graph.input or not only_reader(graph, source):
        return None
    node = graph.node(source)
    fits = isinstance(node.layer, Conv) and len(node.layer.bias) // node.layer.groups % block**2 == 0
    return node if fits else None


def _permuted(conv: Conv, order: NDArray[np.intp]) -> Conv:
    return replace(conv, weight=conv.weight[order], bias=conv.bias[order], activation=_part(conv.activation, order))


def _part(activation: Activation | None, channels: NDArray[np.intp]) -> Activation | None:
    """The activation of some of the channels."""
    if activation is None or activation.slopes is None:
        return activation
    return replace(activation, slopes=activation.slopes[channels])


def _in_one(conv: Conv, label: str, shuffle: Node, block: int, source: str) -> list[Node]:
    """The permuted convolution named `label` that reads `source`, then the shuffle."""
    ordered = _permuted(conv, dcr_order(len(conv.bias), block))
    return [Node(label, ordered, (source,)), replace(shuffle, inputs=(label,))]


def _per_group(conv: Conv, label: str, shuffle: Node, block: int, source: str) -> list[Node]:
    """A grouped convolution can't exchange outputs between groups: convolve and shuffle each group by itself."""
    inputs = conv.weight.shape[1]
    nodes: list[Node] = []
    parts = []
    for group, outputs in enumerate(np.split(np.arange(len(conv.bias)), conv.groups)):
        single = replace(_permuted(conv, outputs), groups=1)
        piece, part = f"{label}.input{group}", replace(shuffle, name=f"{shuffle.name}.group{group}")
        nodes.append(Node(piece, SliceChannels(group * inputs, (group + 1) * inputs), (source,)))
        nodes += _in_one(single, f"{label}.group{group}", part, block, piece)
        parts.append(part.name)
    return [*nodes, Node(shuffle.name, Concat(), tuple(parts))]
