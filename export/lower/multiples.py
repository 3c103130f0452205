"""Networks that only take images whose sides are multiples of 2, 4, 8 or 16: any size, by repeating the last pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import CropLike, Nearest, PadToMultiple
from sparsr.runtime.samples import FloatArray

MULTIPLES = (2, 4, 8, 16)


def on_any_size(graph: DeployGraph, multiple: int) -> DeployGraph:
    """The same network for images of any size: grown to a multiple, the result cut to its place."""
    grow = Node("grown", PadToMultiple(multiple, multiple), (graph.input,))
    inner = [node.reading({graph.input: grow.name}) for node in graph.nodes]
    size = Node("size", Nearest(graph.scale), (graph.input,))
    like = [size] if graph.scale > 1 else []
    cut = Node("cut", CropLike(graph.scale * (multiple - 1)), (graph.output, size.name if like else graph.input))
    smallest = max(1, graph.minimum_size - multiple + 1)
    return replace(graph, nodes=(grow, *inner, *like, cut), output=cut.name, minimum_size=smallest)


def grown(image: FloatArray, multiple: int) -> FloatArray:
    """[1, c, h, w] as `on_any_size` gives it to the network."""
    return PadToMultiple(multiple, multiple).reference(image.astype(np.float64)).astype(np.float32)
