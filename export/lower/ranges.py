"""What stands around a network so that every graph takes and gives RGB in 0..255."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Add
from sparsr.export.lower import phases, resampling

VALUE_RANGE = 255.0  # of every DeployGraph, whatever range the network works in
LUMA = (0.299, 0.587, 0.114)  # BT.601, full range


def in_levels(graph: DeployGraph) -> DeployGraph:
    """The same network for images in 0..255, a scale at either end; `graph.value_range` is the network's own."""
    if graph.value_range == VALUE_RANGE:
        return graph
    down = Node(
        "to_network_range", phases.scaled(graph.input_channels, graph.value_range / VALUE_RANGE), (graph.input,)
    )
    up = Node("to_image_range", phases.scaled(graph.input_channels, VALUE_RANGE / graph.value_range), (graph.output,))
    inner = [node.reading({graph.input: down.name}) for node in graph.nodes]
    return replace(graph, nodes=(down, *inner, up), output=up.name, value_range=VALUE_RANGE)


def on_luma(graph: DeployGraph) -> DeployGraph:
    """RGB from a network for luma: it runs on Y (BT.601, full range), the colour differences are enlarged bicubically.

    RGB' = bicubic(RGB - Y) + f(Y): the sum of what each of the three gains, so no conversion and no offset is needed.
    """
    luma = np.array([LUMA], np.float32)
    to_luma = Node("to_luma", phases.channel_map(luma), (graph.input,))
    rest = Node("to_colour", phases.channel_map(np.eye(3, dtype=np.float32) - np.repeat(luma, 3, 0)), (graph.input,))
    inner = [node.reading({graph.input: to_luma.name}) for node in graph.nodes]
    colour = rest.name
    nodes: list[Node] = []
    steps = resampling.bicubic(3, graph.scale) if graph.scale > 1 else []
    for suffix, layer in steps:
        nodes.append(Node(f"colour{suffix}", layer, (colour,)))
        colour = nodes[-1].name
    grey = Node("grey", phases.channel_map(np.ones((3, 1))), (graph.output,))
    total = Node("colour_and_luma", Add(), (grey.name, colour))
    outer = (to_luma, *inner, rest, *nodes, grey, total)
    return replace(graph, nodes=outer, output=total.name, input_channels=3)
