"""DeployGraph: the exporter's small intermediate representation, typed layers over named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sparsr.export.ir.layer import Layer, Shape
from sparsr.runtime.errors import SparsrError


@dataclass(frozen=True)
class Node:
    """One layer: reads the tensors `inputs`, writes the tensor `name` (a node and its output share one name)."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    early: bool = False
    """Better computed as soon as its inputs are there, which then need not be kept."""

    def reading(self, other: Mapping[str, str]) -> Node:
        """The node, reading other tensors: {name before: name after}."""
        return replace(self, inputs=tuple(other.get(name, name) for name in self.inputs))


@dataclass(frozen=True)
class DeployGraph:
    """A network ready to be written: one image in, one image out, nodes in execution order.

    Tensors are NCHW float32, RGB. `input` names the graph's input, `output` the node whose tensor is the result.
    Both hold values 0..`value_range`; the output is not clipped. `scale` is output size / input size.
    `minimum_size` is the smallest height and width the network accepts, in input pixels.
    """

    name: str
    nodes: tuple[Node, ...]
    output: str
    scale: int
    value_range: float
    input: str = "image"
    input_channels: int = 3
    minimum_size: int = 1
    kernels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Layers of the native program by name, and the kernels that they are left to; see `parity/kernel_choice.py`."""

    def __post_init__(self) -> None:
        known = {self.input}
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in known]
            if missing:
                raise SparsrError(f"graph {self.name}: {node.name} reads {missing[0]}, which no earlier node writes")
            if node.name in known:
                raise SparsrError(f"graph {self.name}: two nodes write {node.name}")
            known.add(node.name)
        if self.output not in known:
            raise SparsrError(f"graph {self.name}: its output {self.output} is written by no node")

    def with_nodes(self, nodes: list[Node], output: str | None = None) -> DeployGraph:
        """The same graph with other nodes."""
        return replace(self, nodes=tuple(nodes), output=output or self.output)

    def with_layer(self, name: str, layer: Layer) -> DeployGraph:
        """The same graph with another layer in node `name`."""
        return self.with_nodes([replace(node, layer=layer) if node.name == name else node for node in self.nodes])

    def without(self, name: str, stand_in: str) -> DeployGraph:
        """The same graph without node `name`; whatever reads it reads the tensor `stand_in` instead."""
        nodes = [
            replace(node, inputs=tuple(stand_in if tensor == name else tensor for tensor in node.inputs))
            for node in self.nodes
            if node.name != name
        ]
        return self.with_nodes(nodes, stand_in if self.output == name else self.output)

    def node(self, name: str) -> Node:
        """The node that writes tensor `name`; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def producer(self, name: str) -> Node | None:
        """The node that writes tensor `name`; None for the graph's input."""
        return None if name == self.input else self.node(name)

    def consumers(self, name: str) -> list[Node]:
        """Nodes that read tensor `name`, in execution order."""
        return [node for node in self.nodes if name in node.inputs]

    def shapes(self, height: int, width: int) -> dict[str, Shape]:
        """Shape (channels, height, width) of every tensor for an input of that size."""
        shapes: dict[str, Shape] = {self.input: (self.input_channels, height, width)}
        for node in self.nodes:
            shapes[node.name] = node.layer.output_shape(*(shapes[name] for name in node.inputs))
        return shapes

    def macs(self, height: int, width: int) -> int:
        """Multiply-adds of all convolution weights for an input of that size (no bias, no activation).

        Masked blocks count in full, as if every pixel were important.
        """
        shapes = self.shapes(height, width)
        return sum(node.layer.macs_per_pixel * shapes[node.name][1] * shapes[node.name][2] for node in self.nodes)
