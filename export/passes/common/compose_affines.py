"""ChannelAffine o ChannelAffine -> ChannelAffine. The first stays for others that read it."""

from __future__ import annotations

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import ChannelAffine
from sparsr.export.passes.rewrite import only_reader


def compose_affines(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Join an affine map with the one before it."""
    before = graph.producer(node.inputs[0])
    second = node.layer
    if before is None or not isinstance(before.layer, ChannelAffine) or not isinstance(second, ChannelAffine):
        return None
    first = before.layer
    factor = second.factor.astype(np.float64) * first.factor
    offset = second.factor.astype(np.float64) * first.offset + second.offset
    composed = ChannelAffine(factor.astype(np.float32), offset.astype(np.float32))
    if only_reader(graph, before.name):
        return graph.with_layer(node.name, composed).without(before.name, before.inputs[0])
    joined = Node(node.name, composed, before.inputs)
    return graph.with_nodes([joined if known.name == node.name else known for known in graph.nodes])
