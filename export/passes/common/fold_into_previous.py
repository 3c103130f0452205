"""(ChannelAffine | Conv 1x1) o [DepthToSpace] o Conv -> [DepthToSpace] o Conv.

Through a DepthToSpace every sub-pixel gets its copy of the colour matrix, so that it mixes rows of one sub-pixel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import ChannelAffine, Conv, DepthToSpace
from sparsr.export.passes.rewrite import colour_map, only_reader


def fold_into_previous(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Fold a linear map of the channels into the convolution before it."""
    mapping = colour_map(node.layer)
    before = graph.producer(node.inputs[0])
    if mapping is None or before is None:
        return None
    copies, between = 1, [before]
    if isinstance(before.layer, DepthToSpace):
        copies, before = before.layer.block**2, graph.producer(before.inputs[0])
        between += [before] if before else []
    if before is None or not isinstance(before.layer, Conv):
        return None
    conv = before.layer
    if conv.activation is not None:
        return f"{before.name} has an activation"
    if shared := [other.name for other in between if not only_reader(graph, other.name)]:
        return f"{shared[0]} is read elsewhere too"
    matrix, offset = np.kron(mapping[0], np.eye(copies)), np.repeat(mapping[1], copies)
    if conv.groups > 1 and not isinstance(node.layer, ChannelAffine):
        return f"it would mix the groups of {before.name}"
    weight = np.tensordot(matrix, conv.weight.astype(np.float64), 1)
    if weight.size > conv.weight.size + mapping[0].size * copies:
        return f"one convolution would cost more than {before.name} and this one"
    folded = replace(
        conv,
        weight=weight.astype(np.float32),
        bias=(matrix @ conv.bias + offset).astype(np.float32),
        activation=getattr(node.layer, "activation", None),
    )
    return graph.with_layer(before.name, folded).without(node.name, node.inputs[0])
