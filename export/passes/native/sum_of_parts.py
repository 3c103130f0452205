"""A convolution over what is complete at different times as a sum of convolutions, for the native engine.

Where blocks pool over the whole image, each block's result is complete before the next one's begins. Kept until a later
layer reads it, it takes most of a network's memory. What that layer makes of it can be computed at once:

    Concat -> 1x1 convolution: added up block by block, no block's result need be kept.
    Add -> convolution with few outputs (the long skip in front of the tail): these are kept instead of the features.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Add, Concat, Conv, GlobalMean
from sparsr.export.passes.rewrite import is_pointwise, only_reader

_SMALLER = 2
"""A skip is convolved ahead if that leaves so many times fewer channels: our choice, the convolution is one more."""


def sum_of_parts(graph: DeployGraph) -> DeployGraph:
    """The graph with such sums, and the nodes marked that are to be computed as soon as their input is there."""
    depths = _depths(graph)
    nodes: list[Node] = []
    sums: set[str] = set()
    for node in graph.nodes:
        joined = graph.producer(node.inputs[0])
        groups = _groups(graph, joined, node, depths) if joined else []
        if joined is None or len(groups) < 2:
            nodes.append(node)
            continue
        nodes.remove(joined)
        nodes += _parts(graph, joined, node, groups)
        sums.add(node.name)
    graph = _early_terms_first(graph.with_nodes(nodes), sums, depths)
    early: set[str] = set().union(*(_only_for(graph, graph.node(name).inputs[1]) for name in sums))
    return graph.with_nodes([replace(node, early=node.name in early) for node in graph.nodes])


def _depths(graph: DeployGraph) -> dict[str, int]:
    """Of every tensor, how many means over the whole image lie one after the other on the way to it."""
    depths = {graph.input: 0}
    for node in graph.nodes:
        before = max(depths[name] for name in node.inputs)
        depths[node.name] = before + isinstance(node.layer, GlobalMean)
    return depths


def _groups(graph: DeployGraph, joined: Node, node: Node, depths: dict[str, int]) -> list[tuple[str, ...]]:
    """The tensors that `joined` joins for the convolution `node`, those together that are complete at the same time."""
    if not isinstance(node.layer, Conv) or not only_reader(graph, joined.name):
        return []
    tensors = joined.inputs
    if _is_sum(joined):
        outputs, channels = node.layer.weight.shape[0], graph.shapes(64, 64)[joined.name][0]
        if outputs * _SMALLER > channels:
            return []
        tensors = tuple(sorted(tensors, key=depths.__getitem__))
    elif not isinstance(joined.layer, Concat) or not is_pointwise(node.layer):
        return []
    return [tuple(members) for _, members in groupby(tensors, key=depths.__getitem__)]


def _parts(graph: DeployGraph, joined: Node, node: Node, groups: list[tuple[str, ...]]) -> list[Node]:
    """A convolution per group of tensors, and sums; the last sum has the node's name and reads the others' second."""
    assert isinstance(node.layer, Conv)
    channels = {name: shape[0] for name, shape in graph.shapes(64, 64).items()}
    nodes: list[Node] = []
    first, total = 0, ""
    for index, group in enumerate(groups):
        last = index == len(groups) - 1
        weight = node.layer.weight
        if isinstance(joined.layer, Concat):
            count = sum(channels[name] for name in group)
            weight = np.ascontiguousarray(weight[:, first : first + count])
            first += count
        bias = node.layer.bias if last else np.zeros_like(node.layer.bias)
        source, name = group[0], f"{node.name}.{index}"
        if len(group) > 1:
            source = f"{name}.joined"
            nodes.append(Node(source, joined.layer, group))
        nodes.append(Node(name, replace(node.layer, weight=weight, bias=bias, activation=None), (source,)))
        if total:
            result = node.name if last else f"{name}.sum"
            nodes.append(Node(result, Add(node.layer.activation if last else None), (name, total)))
        total = nodes[-1].name
    return nodes


def _early_terms_first(graph: DeployGraph, sums: set[str], depths: dict[str, int]) -> DeployGraph:
    """(late + early) + another early term -> late + (early + another), for `sums`, which are renamed."""
    for node in graph.nodes:
        inner = next((graph.node(name) for name in node.inputs if name in sums), None)
        if inner is None or not isinstance(node.layer, Add) or not (_is_sum(inner) and only_reader(graph, inner.name)):
            continue
        other = node.inputs[node.inputs[0] == inner.name]
        if depths[other] >= depths[inner.name]:
            continue
        early = Node(f"{node.name}.early", Add(), (inner.inputs[1], other))
        nodes = [member for member in graph.nodes if member is not inner]
        position = nodes.index(node)
        nodes[position : position + 1] = [early, replace(node, inputs=(inner.inputs[0], early.name))]
        graph = graph.with_nodes(nodes)
        sums ^= {inner.name, node.name}
    return graph


def _is_sum(node: Node) -> bool:
    return isinstance(node.layer, Add) and node.layer.activation is None


def _only_for(graph: DeployGraph, tensor: str) -> set[str]:
    """The nodes that nobody needs but the one reader of `tensor`."""
    node = graph.producer(tensor)
    if node is None or not only_reader(graph, tensor):
        return set()
    return {node.name}.union(*(_only_for(graph, name) for name in node.inputs))
