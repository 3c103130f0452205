"""DeployGraph -> the native engine's model file: a safetensors file whose metadata holds the program as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparsr.export.forms.native import NativeForm, safetensors
from sparsr.export.forms.onnx import Tensors
from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.passes import for_native
from sparsr.runtime.errors import SparsrError

PROGRAM = "sparsr.program"
SCHEMA = "sparsr-program/1"


def write_native(graph: DeployGraph, metadata: Mapping[str, str]) -> bytes:
    """The bytes of `model.safetensors`. `metadata` is stored beside the program."""
    program, tensors = make_program(graph)
    return safetensors(tensors, dict(metadata) | {PROGRAM: program_text(program)})


def make_program(graph: DeployGraph) -> tuple[dict[str, Any], Tensors]:
    """The program and the tensors it names: float32, and uint8 for places of N:M weights.

    Raises `SparsrError` for a layer the engine does not know, and for weights that are not finite.
    """
    graph, _ = for_native(graph)
    if node := _unknown(graph):
        raise SparsrError(f"node {node.name}: the native engine does not know the layer {named(node)}")
    form = NativeForm()
    index = {graph.input: 0} | {node.name: number for number, node in enumerate(graph.nodes, 1)}
    program = {
        "schema": SCHEMA,
        "name": graph.name,
        "input_channels": graph.input_channels,
        "scale": graph.scale,
        "value_range": graph.value_range,
        "minimum_size": graph.minimum_size,
        "output": index[graph.output],
        "layers": [_entry(node, index, form) | _kernels(graph, node) for node in graph.nodes],
    }
    return program, form.tensors


def unknown_layer(graph: DeployGraph) -> Node | None:
    """The first node that the engine does not know, and that no pass for it replaces."""
    return _unknown(for_native(graph)[0])


def named(node: Node) -> str:
    """Kind of a node's layer, and which function it is, for messages."""
    function = getattr(node.layer, "function", None)
    return f"{node.layer.kind} {function}" if function else node.layer.kind


def program_text(program: Mapping[str, Any]) -> str:
    """A program as the engine reads it."""
    return json.dumps(program, separators=(",", ":"), allow_nan=False)


def operators(model: bytes) -> tuple[str, ...]:
    """Layer kinds of a native model file, sorted."""
    size = int.from_bytes(model[:8], "little")
    program = json.loads(json.loads(model[8 : 8 + size])["__metadata__"][PROGRAM])
    return tuple(sorted({layer["kind"] for layer in program["layers"]}))


def _kernels(graph: DeployGraph, node: Node) -> dict[str, Any]:
    """Those that a layer is left to, if not all."""
    return {"kernels": list(graph.kernels[node.name])} if node.name in graph.kernels else {}


def _unknown(graph: DeployGraph) -> Node | None:
    return next((node for node in graph.nodes if not _known(node)), None)


def _known(node: Node) -> bool:
    """A layer is known with the activation it carries."""
    activation = getattr(node.layer, "activation", None)
    return node.layer.native_kind is not None and (activation is None or activation.native_kind is not None)


def _entry(node: Node, index: Mapping[str, int], form: NativeForm) -> dict[str, Any]:
    layer = node.layer
    place = {"kind": layer.native_kind, "name": node.name, "inputs": [index[name] for name in node.inputs]}
    return place | layer.native(form, node.name) | ({"early": 1} if node.early else {})
