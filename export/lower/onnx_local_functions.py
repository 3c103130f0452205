"""Functions that a file defines itself, as torch.onnx.dynamo_export wrote them: their nodes take the place of calls."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import FunctionProto, NodeProto
from onnx.inliner import inline_local_functions

from sparsr.runtime.errors import SparsrError

MOST_NODES = 10_000
"""Ten times as many as the longest public networks have."""
_DEEPEST = 64
Key = tuple[str, str]


def without_functions(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """The model without functions of its own.

    Raises `SparsrError` for functions that call themselves, and for those that call others so often that the nodes
    would be more than any network has.
    """
    if not model.functions:
        return model
    functions = {(function.domain, function.name): function for function in model.functions}
    counts: dict[Key, int] = {}
    if _size(model.graph.node, functions, counts, source, 0) > MOST_NODES:
        raise SparsrError(f"{source}: its functions make more than {MOST_NODES} nodes", "that is no network for images")
    try:
        return inline_local_functions(model)
    except Exception as error:  # of onnx's C++ code
        reason = str(error).strip().splitlines()[0][:200]
        raise SparsrError(f"{source}: its functions cannot be read ({reason})", "export it again") from error


def _size(
    nodes: Iterable[NodeProto], functions: dict[Key, FunctionProto], counts: dict[Key, int], source: str, depth: int
) -> int:
    """How many nodes they are with those of the functions called."""
    if depth > _DEEPEST:
        raise SparsrError(f"{source}: its functions call themselves", "export it again")
    total = 0
    for node in nodes:
        key = (node.domain, node.op_type)
        for attribute in node.attribute:  # branches and loops, which are refused later, have nodes too
            for graph in (attribute.g, *attribute.graphs):
                total += _size(graph.node, functions, counts, source, depth + 1)
        if key not in functions:
            total += 1
            continue
        if key not in counts:
            counts[key] = _size(functions[key].node, functions, counts, source, depth + 1)
        total += counts[key]
    return total
