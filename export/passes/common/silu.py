"""Mul(x, sigmoid(x)) -> silu(x): one function instead of a function and a product over two maps."""

from __future__ import annotations

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Activation, Mul
from sparsr.export.passes.rewrite import only_reader


def silu(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Join a product with the sigmoid of its other factor."""
    if not isinstance(node.layer, Mul):
        return None
    for value, gate in (node.inputs, node.inputs[::-1]):
        before = graph.producer(gate)
        if before is None or not isinstance(before.layer, Activation) or before.layer.function != "sigmoid":
            continue
        if before.inputs != (value,):
            return f"{gate} is the sigmoid of another map"
        if not only_reader(graph, gate):
            return f"{gate} is read elsewhere too"
        joined = Node(node.name, Activation("silu"), (value,))
        nodes = [joined if other is node else other for other in graph.nodes if other is not before]
        return graph.with_nodes(nodes)
    return None
