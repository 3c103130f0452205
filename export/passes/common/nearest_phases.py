"""Conv o Nearest -> DepthToSpace o Conv, for 1x1 Nearest o Conv: the convolution runs over the small map.

Every sub-pixel is an output of its own. Of the enlarged map's equal pixels a kernel sees few different ones: their
weights are added up beforehand. Zeros around the enlarged map are enlarged zeros. Dense, that takes the same products,
from a map `factor`^2 times smaller; sparse (16 weights of 36 remain of a 3x3 kernel by a factor of 2) so many fewer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Conv, DepthToSpace, Nearest
from sparsr.export.passes.rewrite import is_pointwise, only_reader
from sparsr.runtime.samples import FloatArray


def nearest_phases(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Convolve before the pixels are repeated."""
    before = graph.producer(node.inputs[0])
    conv = node.layer
    if not isinstance(conv, Conv) or before is None or not isinstance(before.layer, Nearest):
        return None
    if not only_reader(graph, before.name):
        return f"{before.name} is read elsewhere too"
    sides, margins = conv.weight.shape[2:], conv.padding
    same = all(margins[axis] + margins[axis + 2] == sides[axis] - 1 for axis in (0, 1))
    if conv.stride != 1 or conv.groups != 1 or not same:
        return "the convolution has a stride, groups or another size than its input"
    if is_pointwise(conv):
        return _swapped(graph, before, node)
    factor = before.layer.factor
    weight, padding = _small(conv, factor)
    if weight.size > conv.weight.size * factor**2:
        return "its kernel would take more products over the small map"
    activation = conv.activation and conv.activation.repeated(factor**2)
    small = replace(conv, weight=weight, bias=np.repeat(conv.bias, factor**2), padding=padding, activation=activation)
    nodes = [other for other in graph.nodes if other is not before]
    position = nodes.index(node)
    inner = Node(f"{node.name}.phases", small, before.inputs)
    nodes[position : position + 1] = [inner, Node(node.name, DepthToSpace(factor), (inner.name,))]
    return graph.with_nodes(nodes)


def _swapped(graph: DeployGraph, nearest: Node, node: Node) -> DeployGraph:
    """A 1x1 convolution of equal pixels has equal results."""
    inner = replace(node, name=f"{node.name}.small", inputs=nearest.inputs)
    nodes = [other for other in graph.nodes if other is not nearest]
    position = nodes.index(node)
    nodes[position : position + 1] = [inner, Node(node.name, nearest.layer, (inner.name,))]
    return graph.with_nodes(nodes)


def _small(conv: Conv, factor: int) -> tuple[FloatArray, tuple[int, int, int, int]]:
    """Weight [out * factor^2, in, rows, columns] over the small map, in the order of DepthToSpace; its padding."""
    outputs, inputs = conv.weight.shape[:2]
    rows, columns = (_sums(conv.weight.shape[2 + axis], conv.padding[axis], factor) for axis in (0, 1))
    weight = np.einsum("pik,qjl,ockl->opqcij", rows, columns, conv.weight.astype(np.float64))
    before = [factor_before(conv.padding[axis], factor) for axis in (0, 1)]
    after = [sums.shape[1] - 1 - first for sums, first in zip((rows, columns), before, strict=True)]
    shape = (outputs * factor**2, inputs, rows.shape[1], columns.shape[1])
    return weight.reshape(shape).astype(np.float32), (before[0], before[1], after[0], after[1])


def factor_before(margin: int, factor: int) -> int:
    """Pixels of the small map before its own that a kernel with so many of the enlarged one's before it reads."""
    return -(-margin // factor)


def _sums(side: int, margin: int, factor: int) -> FloatArray:
    """[phase, pixel of the small map, tap]: 1 where that tap, for results of that phase, reads that pixel."""
    before = factor_before(margin, factor)
    places = (np.arange(factor)[:, None] + np.arange(side)[None, :] - margin) // factor + before
    return (places[:, None, :] == np.arange(places.max() + 1)[None, :, None]).astype(np.float32)
