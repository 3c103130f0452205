"""Concat(x), SliceChannels(all of x), ChannelAffine(1, 0), DepthToSpace(1), PadEdge(0) -> x."""

from __future__ import annotations

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import ChannelAffine, Concat, DepthToSpace, PadEdge, SliceChannels


def remove_identities(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Remove layers that return their input."""
    layer = node.layer
    match layer:
        case Concat():
            identity = len(node.inputs) == 1
        case SliceChannels():
            identity = layer.start == 0 and layer.stop == _channels(graph, node.inputs[0])
        case ChannelAffine():
            identity = bool((layer.factor == 1).all() and (layer.offset == 0).all())
        case DepthToSpace():
            identity = layer.block == 1
        case PadEdge():
            identity = not any(layer.padding)
        case _:
            return None
    return graph.without(node.name, node.inputs[0]) if identity else None


def _channels(graph: DeployGraph, tensor: str) -> int:
    side = graph.minimum_size
    return graph.shapes(side, side)[tensor][0]
