"""MaskedBlock(features) -> convolutions of the dense channels alone: without logits no pixel is important."""

from __future__ import annotations

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Activation, Concat, Conv, MaskedBlock


def block_without_logits(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Replace a block by small convolutions, their concatenation and a 1x1 convolution."""
    if not isinstance(node.layer, MaskedBlock) or len(node.inputs) > 1:
        return None
    convs = _dense_part(node.layer, node)
    position = graph.nodes.index(node)
    return graph.with_nodes([*graph.nodes[:position], *convs, *graph.nodes[position + 1 :]])


def _dense_part(block: MaskedBlock, node: Node) -> list[Node]:
    channels = block.dense.shape[1]
    nodes: list[Node] = []
    source, before = node.inputs[0], np.arange(channels)
    kept = []  # columns of the 1x1 convolution
    for index, (weight, dense) in enumerate(zip(block.weights, block.dense, strict=True)):
        own = np.flatnonzero(dense)
        if not len(own):
            break  # without dense inputs all later dense channels are 0
        bias = np.zeros(len(own), np.float32)
        conv = Conv(weight[np.ix_(own, before)], bias, padding=(1, 1, 1, 1), activation=Activation("relu"))
        nodes.append(Node(f"{node.name}.{index}", conv, (source,)))
        source, before = nodes[-1].name, own
        kept.append(index * channels + own)
    if not nodes:  # the bias alone is left
        return [
            Node(
                node.name,
                Conv(np.zeros((len(block.fuse_bias), channels, 1, 1), np.float32), block.fuse_bias),
                node.inputs,
            )
        ]
    fuse = Conv(block.fuse_weight[:, np.concatenate(kept), None, None], block.fuse_bias)
    joined = Node(f"{node.name}.joined", Concat(), tuple(conv.name for conv in nodes))
    return [*nodes, joined, Node(node.name, fuse, (joined.name,))]
