"""The network inside an ONNX file that does more: decodes pictures, changes colours, gives several results.

The user names the tensor that the network begins with, the one that it ends with, or both. Where a file is refused
for what stands around its network, the message names the two that are most likely meant.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, helper

from sparsr.runtime.errors import SparsrError

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_AFTER_CONVOLUTIONS = frozenset(
    ["Add", "Clip", "DepthToSpace", "Div", "LeakyRelu", "Mul", "PRelu", "Relu", "Resize", "Sigmoid", "Sub", "Tanh"]
)
_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Between:
    """The tensors that a network begins and ends with; None for those that its file begins and ends with."""

    begin: str | None = None
    end: str | None = None


WHOLE = Between()


def add_between(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a network in an ONNX file lies between, `begin` and `end`."""
    parser.add_argument(
        "--from",
        dest="begin",
        metavar="TENSOR",
        help="tensor of an ONNX file that its network begins with, where it decodes or converts pictures besides",
    )
    parser.add_argument("--to", dest="end", metavar="TENSOR", help="tensor of an ONNX file that its network ends with")


def cut_out(model: onnx.ModelProto, between: Between, source: str) -> None:
    """Leave of the model, in place, what computes `between.end` from `between.begin`.

    Raises `SparsrError` for a tensor that is not there, and if more than the one tensor is needed.
    """
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output if name}
    weights = {tensor.name for tensor in graph.initializer}
    images = [info.name for info in graph.input if info.name not in weights]
    for name, flag in ((between.begin, "--from"), (between.end, "--to")):
        if name is not None and name not in producers and name not in images:
            raise SparsrError(f"{source} has no tensor {name}", f"{flag} takes the name of one; {suggestion(model)}")
    begins = {between.begin} if between.begin is not None else set(images)
    ends = [between.end] if between.end is not None else [info.name for info in graph.output]
    needed, used, open_ends = set[str](), set[str](), list(ends)
    while open_ends:
        name = open_ends.pop()
        if name in used or not name:
            continue
        used.add(name)
        if name in begins or name in weights:
            continue
        node = producers.get(name)
        if node is None:
            raise SparsrError(
                f"{source}: {' and '.join(ends)} is computed from {name}, too, not from {between.begin} alone",
                f"name another beginning; {suggestion(model)}",
            )
        needed.update(filter(None, node.output))
        open_ends += [*node.input]
    if not begins & used:
        raise SparsrError(f"{source}: {' and '.join(ends)} is not computed from {between.begin}", suggestion(model))
    known = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in graph.node if needed.intersection(node.output)]
    inputs = [_image(known.get(name), name) for name in images if name in used and between.begin is None]
    inputs += [_image(known.get(between.begin), between.begin)] if between.begin is not None else []
    outputs = [_image(known.get(name), name) for name in ends]
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    body = helper.make_graph(nodes, graph.name or "network", inputs, outputs, kept)
    domains = {node.domain for node in nodes} | set(_STANDARD)
    operators = [helper.make_opsetid(o.domain, o.version) for o in model.opset_import if o.domain in domains]
    graph.CopyFrom(body)
    del model.opset_import[:]
    model.opset_import.extend(operators)


def suggestion(model: onnx.ModelProto) -> str:
    """Which tensors the network in a file most likely lies between, for the hint of a message."""
    convolutions = [node for node in model.graph.node if node.op_type in _CONVOLUTIONS and node.domain in _STANDARD]
    if not convolutions:
        return "export the bare network"
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    last = convolutions[-1]
    while True:
        after = [node for node in readers.get(last.output[0], []) if node.op_type in _AFTER_CONVOLUTIONS]
        if len(after) != 1 or after[0].domain not in _STANDARD:
            break
        last = after[0]
    return (
        "say between which tensors the network lies, for example "
        f"--from {convolutions[0].input[0]} --to {last.output[0]} (first and last convolution)"
    )


def _image(info: onnx.ValueInfoProto | None, name: str) -> onnx.ValueInfoProto:
    """The tensor as an end of a graph: as the file knows it, or with four free dimensions."""
    if info is not None and info.type.tensor_type.HasField("shape"):
        return info
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4)
