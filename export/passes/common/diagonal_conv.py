"""Conv 1x1 of colours with a diagonal matrix -> ChannelAffine. The usual form of a mean shift."""

from __future__ import annotations

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import ChannelAffine, Conv
from sparsr.export.passes.rewrite import is_pointwise


def diagonal_conv(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Turn a convolution that only scales and shifts every colour into that."""
    layer = node.layer
    colours = (graph.input_channels, graph.input_channels, 1, 1)
    if not isinstance(layer, Conv) or not is_pointwise(layer) or layer.weight.shape != colours:
        return None
    if layer.activation is not None:
        return "an activation follows"
    matrix = layer.weight[:, :, 0, 0]
    if np.any(matrix != np.diag(np.diag(matrix))):
        return "its matrix mixes the colours"
    return graph.with_layer(node.name, ChannelAffine(np.diag(matrix).copy(), layer.bias))
