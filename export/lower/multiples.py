"""Networks that only take images whose sides are multiples of 2, 4, 8 or 16: any size, by repeating the last pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import CropLike, DepthToSpace, Nearest, PadToEven
from sparsr.export.lower import phases
from sparsr.export.lower.phases import Steps
from sparsr.runtime.samples import FloatArray

MULTIPLES = (2, 4, 8, 16)


def on_any_size(graph: DeployGraph, multiple: int) -> DeployGraph:
    """The same network for images of any size: grown to a multiple, the result cut to its place."""
    steps = _growing(graph.input_channels, multiple)
    source, nodes = graph.input, []
    for suffix, layer in steps:
        nodes.append(Node(f"grown{suffix}", layer, (source,)))
        source = nodes[-1].name
    inner = [node.reading({graph.input: source}) for node in graph.nodes]
    size = Node("size", Nearest(graph.scale), (graph.input,))
    like = [size] if graph.scale > 1 else []
    cut = Node("cut", CropLike(), (graph.output, size.name if like else graph.input))
    smallest = max(1, graph.minimum_size - multiple + 1)
    return replace(graph, nodes=(*nodes, *inner, *like, cut), output=cut.name, minimum_size=smallest)


def grown(image: FloatArray, multiple: int) -> FloatArray:
    """[1, c, h, w] as `on_any_size` gives it to the network."""
    values = image.astype(np.float64)
    for _, layer in _growing(image.shape[1], multiple):
        values = layer.reference(values)
    return values.astype(np.float32)


def _growing(channels: int, multiple: int) -> Steps:
    """Odd rows and columns are repeated; then the same again with blocks of 2x2 pixels, and so on."""
    folds = multiple.bit_length() - 2
    steps: Steps = []
    for fold in range(folds):
        steps += [
            (f".even{fold}", PadToEven()),
            (f".folded{fold}", phases.pixel_unshuffle(channels * 4**fold, 2)),
        ]
    steps.append((".even" if folds else "", PadToEven()))
    for fold in range(folds):
        steps.append(("" if fold == folds - 1 else f".unfolded{fold}", DepthToSpace(2)))
    return steps
