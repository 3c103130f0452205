"""ChannelAffine(1, offset) o Add -> Add o ChannelAffine(1, offset) on one side, where it folds into a convolution."""

from __future__ import annotations

from dataclasses import replace

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Add, ChannelAffine, Conv, DepthToSpace
from sparsr.export.passes.rewrite import only_reader


def shift_before_add(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Move a shift of the channels in front of a sum."""
    total = graph.producer(node.inputs[0])
    if not isinstance(node.layer, ChannelAffine) or total is None or not isinstance(total.layer, Add):
        return None
    if (node.layer.factor != 1).any():
        return "it scales both sides of the sum"
    if total.layer.activation is not None or not only_reader(graph, total.name):
        return f"{total.name} has an activation or is read elsewhere too"
    side = next((tensor for tensor in total.inputs if _folds(graph, tensor)), None)
    if side is None:
        return f"no convolution comes before {total.name}"
    shift = Node(f"{node.name}.{side}", node.layer, (side,))
    inputs = tuple(shift.name if tensor == side else tensor for tensor in total.inputs)
    nodes = list(graph.nodes)
    position = nodes.index(total)
    nodes[position : position + 1] = [shift, replace(total, inputs=inputs)]
    return graph.with_nodes(nodes).without(node.name, total.name)


def _folds(graph: DeployGraph, tensor: str) -> bool:
    """Whether `tensor` is the result of a convolution, maybe shuffled, for this reader alone."""
    producer = graph.producer(tensor)
    if producer is None or not only_reader(graph, tensor):
        return False
    return isinstance(producer.layer, Conv) or (
        isinstance(producer.layer, DepthToSpace) and _folds(graph, producer.inputs[0])
    )
