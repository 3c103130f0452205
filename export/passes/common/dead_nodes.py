"""A node whose tensor nothing reads -> nothing."""

from __future__ import annotations

from sparsr.export.ir.graph import DeployGraph, Node


def remove_dead_nodes(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Remove what the result does not depend on."""
    if node.name == graph.output or graph.consumers(node.name):
        return None
    return graph.with_nodes([other for other in graph.nodes if other.name != node.name])
