"""What a network computes, as a flat list of operations: a torch.fx trace brought into one normal form.

The channel dependency graph (`train/pruning/channel_groups.py`) and the exporter (`export/lower`) both
read this form, so that an operation is understood in one place.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks.kinds import WEIGHTED, Kind, Meaning, SizeOf, TensorRef, UnsupportedError, require
from sparsr.train.networks.operations import FUNCTIONS, MODULES, slice_channels


@dataclass(frozen=True)
class Operation:
    """One operation: reads the tensors `inputs`, writes the tensor `name`."""

    name: str
    """Unique: the module's path, or the path of the module whose forward calls the function plus its name."""
    kind: Kind
    inputs: tuple[str, ...]
    channels: int
    """Channels of the tensor it writes."""
    module: str = ""
    """Path of the module with the weights; several operations share it when the module is called several times."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else the kind needs: see `operations`."""


@dataclass(frozen=True)
class Trace:
    """Operations in execution order, from the tensor `input` to the tensor `output`."""

    input: str
    input_channels: int
    operations: tuple[Operation, ...]
    output: str


def trace(network: nn.Module) -> Trace:
    """Trace `network`, which takes one image [1, 3, h, w].

    Raises `SparsrError` naming module and operation for anything that has no normal form.
    """
    return _Recorder(network).record()


class _Tracer(fx.Tracer):
    """Every convolution is one operation, whatever its class does inside (weight normalisation), and so is every
    module that has a rule."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        known = isinstance(module, nn.Conv2d) or type(module) in MODULES
        return known or super().is_leaf_module(module, qualified_name)


class _Values(fx.Interpreter):
    """Runs the traced network on the smallest image, for channel counts and the values of numbers."""

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        # Only the count is kept, so that feature maps are freed as soon as they are read.
        n.meta["value"] = TensorRef("", value.shape[1]) if isinstance(value, Tensor) else value
        return value


class _Recorder:
    """Turns fx nodes into operations, one after the other."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.operations: list[Operation] = []
        self.values: dict[fx.Node, Any] = {}
        """Per fx node: a `TensorRef` for a tensor, a list of rules for split and chunk, else the plain value."""
        self.names: set[str] = set()

    def record(self) -> Trace:
        graph, output = self._run(), None
        image = ""
        for node in graph.nodes:
            if node.op == "placeholder":
                _check(not image, "the network takes more than one input")
                image = self._unique("image")
                self.values[node] = TensorRef(image, 3)
            elif node.op == "output":
                output = self._resolve(node.args[0])
            else:
                self.values[node] = self._value(node)
        _check(isinstance(output, TensorRef), "the network does not return one tensor")
        assert isinstance(output, TensorRef)
        return Trace(image, 3, tuple(self.operations), output.name)

    def _run(self) -> fx.Graph:
        """The fx graph with every node's `value` filled in."""
        try:
            graph = _Tracer().trace(self.network)
        except fx.proxy.TraceError as error:
            raise SparsrError(
                f"the network cannot be traced: {error}",
                "its forward must not branch on the image's size or values",
            ) from error
        parameter = next(self.network.parameters())
        side = getattr(self.network, "minimum_size", 1)
        image = torch.zeros(1, 3, side, side, device=parameter.device, dtype=parameter.dtype)
        try:
            with torch.no_grad():
                _Values(fx.GraphModule(self.network, graph)).run(image)
        except RuntimeError as error:
            raise SparsrError(
                f"the network fails on an image of {side}x{side} pixels: {str(error).splitlines()[0]}",
                "its minimum_size must be the smallest side it can take",
            ) from error
        return graph

    def _value(self, node: fx.Node) -> Any:
        args, kwargs = self._resolve(node.args), self._resolve(node.kwargs)
        value = node.meta["value"]
        if node.target is operator.getitem and isinstance(args[0], list):
            return self._append(node, args[0][args[1]])
        if not isinstance(value, TensorRef) and not _holds_tensors(value):
            return value
        rule = self._rule(node, args, kwargs)
        return rule if isinstance(rule, list) else self._append(node, rule)

    def _rule(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Meaning | list[Meaning]:
        try:
            if node.op == "call_module":
                module = self.network.get_submodule(str(node.target))
                kind = nn.Conv2d if isinstance(module, nn.Conv2d) else type(module)
                require(kind in MODULES, "no rule for it")
                return MODULES[kind](module, *args, **kwargs)
            if node.target is operator.getitem:
                return slice_channels(*args)
            require(node.op != "get_attr" and node.target in FUNCTIONS, "no rule for it")
            return FUNCTIONS[node.target](*args, **kwargs)
        except (UnsupportedError, TypeError) as error:
            where = _scope(node) or type(self.network).__name__
            raise SparsrError(
                f"{where}: the operation {_operation_name(self.network, node)} is not supported ({error})",
                "use the operations listed in train/networks/operations.py, or add a rule there",
            ) from error

    def _append(self, node: fx.Node, rule: Meaning) -> TensorRef:
        kind, inputs, options = rule
        name, channels = self._unique(_operation_path(node)), node.meta["value"].channels
        module = str(node.target) if kind in WEIGHTED else ""
        reads = tuple(ref.name for ref in inputs)
        self.operations.append(Operation(name, kind, reads, channels, module, options))
        return TensorRef(name, channels)

    def _resolve(self, argument: Any) -> Any:
        def value(node: fx.Node) -> Any:
            known = self.values[node]
            is_size = isinstance(known, tuple) and len(known) == 2
            return SizeOf(self.values[_size_source(node)]) if is_size else known

        return fx.node.map_arg(argument, value)

    def _unique(self, name: str) -> str:
        candidate, count = name, 1
        while candidate in self.names:
            candidate, count = f"{name}_{count}", count + 1
        self.names.add(candidate)
        return candidate


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise SparsrError(message, "a network takes one image and returns one")


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, tuple | list) and any(isinstance(part, Tensor) for part in value)


def _size_source(node: fx.Node) -> fx.Node:
    """The tensor whose size `node` is a part of: x for x.shape[2:]."""
    while not isinstance(node.meta["value"], TensorRef):
        node = node.all_input_nodes[0]
    return node


def _scope(node: fx.Node) -> str:
    """Path of the module whose forward made this node."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else ""


def _function_name(node: fx.Node) -> str:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return "slice" if name == "getitem" else name.strip("_")


def _operation_path(node: fx.Node) -> str:
    """`body.0.body.1` for a module, `body.0.add` for a function called in the forward of body.0."""
    if node.op == "call_module":
        return str(node.target)
    return f"{_scope(node)}.{_function_name(node)}".lstrip(".")


def _operation_name(network: nn.Module, node: fx.Node) -> str:
    if node.op == "call_module":
        return type(network.get_submodule(str(node.target))).__name__
    return _function_name(node)
