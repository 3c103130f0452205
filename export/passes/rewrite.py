"""Applies one rule wherever it fits, and helpers rules share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import ChannelAffine, Conv, Layer

Rule = Callable[[DeployGraph, Node], DeployGraph | str | None]
"""Tries to rewrite at one node. The new graph; or why it does not apply, though the pattern is there; or None."""


def rewrite(graph: DeployGraph, rule: Rule) -> tuple[DeployGraph, list[str]]:
    """`graph` with `rule` applied until it fits nowhere; and one line on each rewrite left undone, one on the rest."""
    name = rule.__name__
    done, position = 0, 0
    reasons: list[str] = []
    while position < len(graph.nodes):
        node = graph.nodes[position]
        result = rule(graph, node)
        if isinstance(result, DeployGraph):
            graph, done, position, reasons = result, done + 1, 0, []
            continue
        if result:
            reasons.append(f"{name}: {node.name} stays, {result}")
        position += 1
    return graph, ([f"{name}: applied {done} times"] if done else []) + reasons


def is_pointwise(layer: Layer) -> bool:
    """Whether `layer` is a 1x1 convolution that mixes the channels of one pixel and nothing else."""
    if not isinstance(layer, Conv):
        return False
    return layer.weight.shape[2:] == (1, 1) and (layer.stride, layer.groups) == (1, 1) and not any(layer.padding)


def colour_map(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(matrix [out, in], offset [out]) of a layer that maps every pixel's channels linearly; None for others."""
    if isinstance(layer, ChannelAffine):
        return np.diag(layer.factor.astype(np.float64)), layer.offset.astype(np.float64)
    if isinstance(layer, Conv) and is_pointwise(layer):
        return layer.weight[:, :, 0, 0].astype(np.float64), layer.bias.astype(np.float64)
    return None


def only_reader(graph: DeployGraph, tensor: str) -> bool:
    """Whether exactly one node reads `tensor` and it is not the graph's result."""
    return len(graph.consumers(tensor)) == 1 and graph.output != tensor
