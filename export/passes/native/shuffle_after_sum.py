"""DepthToSpace(x) + DepthToSpace(y) -> DepthToSpace(x + y): one pass less over the large image."""

from __future__ import annotations

from dataclasses import replace

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Add, DepthToSpace
from sparsr.export.passes.rewrite import only_reader


def shuffle_after_sum(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Add two tensors up before their pixels are rearranged."""
    if not isinstance(node.layer, Add) or graph.input in node.inputs:
        return None
    shuffles = [graph.node(name) for name in node.inputs]
    blocks = {shuffle.layer.block for shuffle in shuffles if isinstance(shuffle.layer, DepthToSpace)}
    if len(blocks) != 1 or not all(isinstance(shuffle.layer, DepthToSpace) for shuffle in shuffles):
        return None
    if not all(only_reader(graph, name) for name in node.inputs):
        return "what it adds up is read elsewhere too"
    block = blocks.pop()
    layer = replace(node.layer, activation=node.layer.activation and node.layer.activation.repeated(block**2))
    total = Node(f"{node.name}.sum", layer, tuple(shuffle.inputs[0] for shuffle in shuffles))
    nodes = [other for other in graph.nodes if other not in shuffles]
    position = nodes.index(node)
    nodes[position : position + 1] = [total, Node(node.name, DepthToSpace(block), (total.name,))]
    return graph.with_nodes(nodes)
