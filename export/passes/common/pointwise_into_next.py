"""Conv o Conv 1x1 -> Conv, where that costs less. A bias of the 1x1 stands in the way of zero padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Conv
from sparsr.export.passes.rewrite import is_pointwise, only_reader


def pointwise_into_next(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Fold a mixture of channels into the convolution after it."""
    before = graph.producer(node.inputs[0])
    conv = node.layer
    if not isinstance(conv, Conv) or before is None or not is_pointwise(before.layer):
        return None
    pointwise = before.layer
    assert isinstance(pointwise, Conv)
    if pointwise.activation is not None:
        return f"{before.name} has an activation"
    if not only_reader(graph, before.name):
        return f"{before.name} is read elsewhere too"
    if conv.groups > 1:
        return f"{before.name} mixes what its groups keep apart"
    if pointwise.bias.any() and any(conv.padding):
        return f"the bias of {before.name} does not fold into the zero-padded convolution"
    weight = np.einsum("omkl,mi->oikl", conv.weight.astype(np.float64), pointwise.weight[:, :, 0, 0])
    if weight.size > conv.weight.size + pointwise.weight.size:
        return f"one convolution would cost more than {before.name} and this one"
    bias = conv.bias + np.einsum("omkl,m->o", conv.weight.astype(np.float64), pointwise.bias)
    folded = replace(conv, weight=weight.astype(np.float32), bias=bias.astype(np.float32))
    return graph.with_layer(node.name, folded).without(before.name, before.inputs[0])
