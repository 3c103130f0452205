"""Between a DeployGraph and a network that trains: `sparsr prune` takes what came as a graph, export takes it back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layer import Layer, Shape
from sparsr.export.ir.layers import KINDS, Activation, ChannelAffine
from sparsr.export.lower.ranges import on_luma
from sparsr.runtime.errors import SparsrError
from sparsr.train.networks.graph import IMAGE, GraphLayer, GraphNetwork
from sparsr.train.networks.graph import KINDS as TRAINABLE

_BY_NAME = {kind.__name__: kind for kind in KINDS}


def as_network(graph: DeployGraph) -> GraphNetwork:
    """The network of a graph as it was read, before any pass, in eval mode; weights exact.

    A graph for one channel becomes a network for luma. Raises `SparsrError` naming a layer that cannot be trained.
    """
    names = {graph.input: IMAGE}
    layers, arrays = [], []
    for node in _up_to(graph):
        if node.layer.kind not in TRAINABLE:
            raise SparsrError(
                f"node {node.name}: a {node.layer.kind} cannot be trained", "prune the network it came from"
            )
        names[node.name] = node.name if node.name != IMAGE else f"{IMAGE} "
        options, own = _parts(node)
        inputs = tuple(names[name] for name in node.inputs)
        shapes = {name: array.shape for name, array in own.items()}
        layers.append(dataclasses.asdict(GraphLayer(names[node.name], node.layer.kind, inputs, options, shapes)))
        arrays.append(own)
    network = GraphNetwork(graph.scale, layers, graph.input_channels, graph.value_range, graph.minimum_size)
    with torch.no_grad():
        for module, own in zip(network.steps, arrays, strict=True):
            for name, array in own.items():
                _tensor(module, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return network.eval()


def as_graph(network: GraphNetwork, name: str) -> DeployGraph:
    """The graph of such a network as its weights are now, for RGB in 0..`network.value_range`."""
    side = 64 + network.minimum_size  # larger than every kernel
    shapes: dict[str, Shape] = {IMAGE: (network.colours, side, side)}
    nodes = []
    for layer, module in zip(network.layers, network.steps, strict=True):
        inputs = [shapes[tensor] for tensor in layer.inputs]
        nodes.append(Node(layer.name, _layer(layer, module, inputs[0][0]), layer.inputs))
        shapes[layer.name] = nodes[-1].layer.output_shape(*inputs)
    graph = DeployGraph(
        name,
        tuple(nodes),
        nodes[-1].name,
        network.scale,
        network.value_range,
        IMAGE,
        network.colours,
        network.minimum_size,
    )
    return on_luma(graph) if network.colours == 1 else graph


def _up_to(graph: DeployGraph) -> tuple[Node, ...]:
    """The nodes that the output needs, itself the last."""
    needed, kept = {graph.output}, []
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def _parts(node: Node) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """A layer's fields: those that are no arrays, and the arrays."""
    fields = {field.name: getattr(node.layer, field.name) for field in dataclasses.fields(node.layer)}
    if isinstance(fields.pop("activation", None), Activation):
        raise SparsrError(f"node {node.name}: its activation is fused already", "convert the graph before the passes")
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    options = {name: value for name, value in fields.items() if name not in arrays and value is not None}
    if isinstance(node.layer, ChannelAffine) and all(np.ptp(values) == 0 for values in arrays.values()):
        arrays = {name: values[:1] for name, values in arrays.items()}  # which slimmed channels keep
    return options, arrays


def _layer(layer: GraphLayer, module: nn.Module, channels: int) -> Layer:
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in layer.options.items()}
    arrays = {name: _tensor(module, name).detach().cpu().float().numpy().copy() for name in layer.shapes}
    if layer.kind == ChannelAffine.__name__:
        arrays = {name: np.broadcast_to(values, (channels,)).copy() for name, values in arrays.items()}
    return _BY_NAME[layer.kind](**options, **arrays)


def _tensor(module: nn.Module, field: str) -> torch.Tensor:
    """The parameter or buffer that holds a layer's array."""
    holder = module[-1] if isinstance(module, nn.Sequential) else module
    tensor = getattr(holder, "weight" if field == "slopes" else field)
    assert isinstance(tensor, torch.Tensor)
    return tensor
