"""Concat -> 1x1 convolution as a sum of convolutions, for the native engine.

Where blocks pool over the whole image, each block's result is complete before the next one's begins. Kept until the
last is done, for the 1x1 convolution over all of them, they take most of a network's memory; added up one by one, none
need be kept.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from runtime.layers import Add, Concat, Conv, GlobalMean

from .graph import DeployGraph, Node
from .passes.rewrite import is_pointwise, only_reader


def sum_of_parts(graph: DeployGraph) -> tuple[DeployGraph, frozenset[str]]:
    """The graph with such sums; and the convolutions to compute as soon as their input is there."""
    depths = _depths(graph)
    nodes: list[Node] = []
    early: set[str] = set()
    for node in graph.nodes:
        joined = graph.producer(node.inputs[0])
        if joined is None or not isinstance(joined.layer, Concat) or not is_pointwise(node.layer):
            nodes.append(node)
            continue
        groups = [tuple(members) for _, members in groupby(joined.inputs, key=depths.__getitem__)]
        if len(groups) == 1 or not only_reader(graph, joined.name):
            nodes.append(node)
            continue
        nodes.remove(joined)
        parts = _parts(node, groups, graph)
        early |= {part.name for part in parts[:-2] if isinstance(part.layer, Conv)}
        nodes += parts
    return graph.with_nodes(nodes), frozenset(early)


def _depths(graph: DeployGraph) -> dict[str, int]:
    """Of every tensor, how many means over the whole image lie one after the other on the way to it."""
    depths = {graph.input: 0}
    for node in graph.nodes:
        before = max(depths[name] for name in node.inputs)
        depths[node.name] = before + isinstance(node.layer, GlobalMean)
    return depths


def _parts(node: Node, groups: list[tuple[str, ...]], graph: DeployGraph) -> list[Node]:
    """A convolution per group of tensors and the sums; the last one has the node's name."""
    assert isinstance(node.layer, Conv)
    channels = {name: shape[0] for name, shape in graph.shapes(64, 64).items()}
    nodes: list[Node] = []
    first, total = 0, ""
    for index, group in enumerate(groups):
        last = index == len(groups) - 1
        count = sum(channels[name] for name in group)
        bias = node.layer.bias if last else np.zeros_like(node.layer.bias)
        conv = Conv(np.ascontiguousarray(node.layer.weight[:, first : first + count]), bias)
        first += count
        source, name = group[0], f"{node.name}.{index}"
        if len(group) > 1:
            source = f"{name}.joined"
            nodes.append(Node(source, Concat(), group))
        nodes.append(Node(name, conv, (source,)))
        if total:
            result = node.name if last else f"{name}.sum"
            nodes.append(Node(result, Add(node.layer.activation if last else None), (name, total)))
        total = nodes[-1].name
    return nodes
