"""ChannelAffine(f, o) o Add(a, b) -> Add(ChannelAffine(f, o) o a, ChannelAffine(f, 0) o b) where both find a place.

A place is behind a convolution, maybe shuffled, or behind another scale, which it joins; it may lie before an
enlargement by nearest pixels. So nothing is left of a network's range at the end of an image it adds to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Add, ChannelAffine, Conv, DepthToSpace, Nearest
from sparsr.export.passes.rewrite import only_reader


def scale_before_sum(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Move a scale of the channels in front of a sum."""
    total = graph.producer(node.inputs[0])
    if not isinstance(node.layer, ChannelAffine) or total is None or not isinstance(total.layer, Add):
        return None
    if (node.layer.factor == 1).all():
        return None
    if total.layer.activation is not None or not only_reader(graph, total.name):
        return f"{total.name} has an activation or is read elsewhere too"
    first, second = total.inputs
    places = [_place(graph, tensor, total.name) for tensor in (first, second)]
    if first == second or None in places:
        return f"one side of {total.name} has no convolution and no scale to join"
    offsets = (node.layer.offset, np.zeros_like(node.layer.offset))
    for place, offset in zip(places, offsets, strict=True):
        assert place is not None
        graph = _inserted(graph, place, replace(node.layer, offset=offset), f"{node.name}.{place.tensor}")
    return graph.without(node.name, total.name)


class _Place(NamedTuple):
    """Between a tensor and the node that reads it."""

    tensor: str
    reader: str


def _place(graph: DeployGraph, tensor: str, reader: str) -> _Place | None:
    """Where a scale of `tensor`, for that reader, would disappear."""
    producer = graph.producer(tensor)
    if producer is None:
        return None
    if isinstance(producer.layer, ChannelAffine):
        return _Place(tensor, reader)
    if not only_reader(graph, tensor):
        return None
    if isinstance(producer.layer, Nearest):
        return _place(graph, producer.inputs[0], producer.name)
    conv = graph.producer(producer.inputs[0]) if isinstance(producer.layer, DepthToSpace) else producer
    if conv is None or not isinstance(conv.layer, Conv) or conv.layer.activation or not only_reader(graph, conv.name):
        return None
    return _Place(tensor, reader)


def _inserted(graph: DeployGraph, place: _Place, layer: ChannelAffine, name: str) -> DeployGraph:
    """The graph with the scale there."""
    scale = Node(name, layer, (place.tensor,))
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name == place.reader:
            nodes.append(scale)
            node = replace(node, inputs=tuple(name if read == place.tensor else read for read in node.inputs))
        nodes.append(node)
    return graph.with_nodes(nodes)
