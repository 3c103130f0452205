"""Activation o (Conv | Add) -> (Conv | Add) with that activation."""

from __future__ import annotations

from dataclasses import replace

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Activation, Add, Conv
from sparsr.export.passes.rewrite import only_reader


def fuse_activation(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Let the layer before compute the activation."""
    before = graph.producer(node.inputs[0])
    if not isinstance(node.layer, Activation) or before is None or not isinstance(before.layer, Conv | Add):
        return None
    if before.layer.activation is not None:
        return f"{before.name} has an activation already"
    if not only_reader(graph, before.name):
        return f"{before.name} is read elsewhere too"
    fused = replace(before.layer, activation=node.layer)
    return graph.with_layer(before.name, fused).without(node.name, before.name)
