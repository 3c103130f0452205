"""Conv o ChannelAffine -> Conv. Exact with zero padding only if the offset is 0: the padding is not shifted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import ChannelAffine, Conv


def fold_into_next(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Fold an affine map into every convolution that reads it."""
    layer, readers = node.layer, graph.consumers(node.name)
    if not isinstance(layer, ChannelAffine) or not readers:
        return None
    if node.name == graph.output or not all(isinstance(reader.layer, Conv) for reader in readers):
        return "not only convolutions read it"
    for reader in readers:
        conv = reader.layer
        assert isinstance(conv, Conv)
        if layer.offset.any() and any(conv.padding):
            return f"its offset does not fold into the zero-padded convolution {reader.name}"
        graph = graph.with_layer(reader.name, _folded(conv, layer))
    return graph.without(node.name, node.inputs[0])


def _folded(conv: Conv, affine: ChannelAffine) -> Conv:
    """`conv` applied to the result of `affine`, as one convolution."""
    per_filter = (conv.groups, 1, -1, 1, 1)
    weight = conv.weight.astype(np.float64).reshape(conv.groups, -1, *conv.weight.shape[1:])
    shifted = (weight * affine.offset.reshape(per_filter)).sum((2, 3, 4)).ravel()
    scaled = (weight * affine.factor.reshape(per_filter)).reshape(conv.weight.shape)
    return replace(conv, weight=scaled.astype(np.float32), bias=(conv.bias + shifted).astype(np.float32))
