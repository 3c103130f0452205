"""DeployGraph -> the native engine's model file: a safetensors file whose metadata holds the program as JSON.

A convolution with at most N weights other than zero in every group of M input channels, for every output and tap, is
written as their values and their places in the group if that takes less room than all weights.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import (
    Activation,
    Add,
    AvgPool,
    ChannelAffine,
    Concat,
    Conv,
    CropLike,
    DepthToSpace,
    FloatArray,
    GlobalMean,
    GlobalStd,
    Layer,
    MaskedBlock,
    MaxPool,
    Mul,
    PadEdge,
    PadToEven,
    ResizeLike,
    SliceChannels,
)
from sparsr.export.passes.native.sum_of_parts import sum_of_parts
from sparsr.runtime.errors import SparsrError

PROGRAM = "sparsr.program"
SCHEMA = "sparsr-program/1"
GROUP_SIZES = (4, 8, 16, 32)
KINDS: tuple[type[Layer], ...] = (
    Activation, Add, AvgPool, ChannelAffine, Concat, Conv, CropLike, DepthToSpace, GlobalMean, GlobalStd, MaskedBlock,
    MaxPool, Mul, PadEdge, PadToEven, ResizeLike, SliceChannels,
)  # fmt: skip
"""Layers the engine knows."""
_ALIGNMENT = 64  # bytes; keeps tensors aligned for those who map the file

Tensors = dict[str, NDArray[Any]]


def write_native(graph: DeployGraph, metadata: Mapping[str, str]) -> bytes:
    """The bytes of `model.safetensors`. `metadata` is stored beside the program."""
    program, tensors = make_program(graph)
    return _safetensors(tensors, dict(metadata) | {PROGRAM: program_text(program)})


def make_program(graph: DeployGraph) -> tuple[dict[str, Any], Tensors]:
    """The program and the tensors it names: float32, and uint8 for places of N:M weights.

    Raises `SparsrError` for a layer the engine does not know, and for weights that are not finite.
    """
    if node := unknown_layer(graph):
        raise SparsrError(f"node {node.name}: the native engine does not know the layer {node.layer.kind}")
    graph, early = sum_of_parts(graph)
    tensors: Tensors = {}
    index = {graph.input: 0} | {node.name: number for number, node in enumerate(graph.nodes, 1)}
    program = {
        "schema": SCHEMA,
        "name": graph.name,
        "input_channels": graph.input_channels,
        "scale": graph.scale,
        "value_range": graph.value_range,
        "minimum_size": graph.minimum_size,
        "output": index[graph.output],
        "layers": [_layer(node, index, tensors) | ({"early": 1} if node.name in early else {}) for node in graph.nodes],
    }
    return program, tensors


def unknown_layer(graph: DeployGraph) -> Node | None:
    """The first node of a kind the engine does not know."""
    return next((node for node in graph.nodes if type(node.layer) not in KINDS), None)


def program_text(program: Mapping[str, Any]) -> str:
    """A program as the engine reads it."""
    return json.dumps(program, separators=(",", ":"), allow_nan=False)


def operators(model: bytes) -> tuple[str, ...]:
    """Layer kinds of a native model file, sorted."""
    size = int.from_bytes(model[:8], "little")
    program = json.loads(json.loads(model[8 : 8 + size])["__metadata__"][PROGRAM])
    return tuple(sorted({layer["kind"] for layer in program["layers"]}))


def _layer(node: Node, index: Mapping[str, int], tensors: Tensors) -> dict[str, Any]:
    layer = node.layer
    entry: dict[str, Any] = {"kind": layer.kind, "name": node.name, "inputs": [index[name] for name in node.inputs]}
    match layer:
        case Activation():
            entry["activation"] = dataclasses.asdict(layer)
        case Conv():
            entry |= _conv(node.name, layer, tensors)
        case ChannelAffine():
            entry |= _stored(node.name, tensors, factor=layer.factor, offset=layer.offset)
        case MaskedBlock():
            weights = {f"weight{part}": weight for part, weight in enumerate(layer.weights)}
            entry["weights"] = list(_stored(node.name, tensors, **weights).values())
            entry["dense"] = [np.flatnonzero(dense).tolist() for dense in layer.dense]
            fuse = {"fuse_weight": layer.fuse_weight[:, :, None, None], "fuse_bias": layer.fuse_bias}
            entry |= _stored(node.name, tensors, **fuse)
        case _:
            entry |= _options(layer)
    return entry


def _options(layer: Layer) -> dict[str, Any]:
    """A layer's plain parameters; an absent activation is left out."""
    return {key: value for key, value in dataclasses.asdict(layer).items() if value is not None}


def _conv(name: str, conv: Conv, tensors: Tensors) -> dict[str, Any]:
    entry: dict[str, Any] = {"stride": conv.stride, "padding": list(conv.padding), "groups": conv.groups}
    if conv.activation is not None:
        entry["activation"] = dataclasses.asdict(conv.activation)
    entry |= _stored(name, tensors, bias=conv.bias)
    if packed := compressed(conv.weight):
        return entry | {"m": packed.m} | _stored(name, tensors, values=packed.values, indices=packed.indices)
    return entry | _stored(name, tensors, weight=conv.weight)


class Packed(NamedTuple):
    """The weights other than zero in every group of `m` input channels.

    values float32 and indices uint8: [outputs, height, width, groups, n], n the largest number found in a group; groups
    with fewer are filled up with zeros at index 0. The last group may be smaller than `m`.
    """

    values: FloatArray
    indices: NDArray[np.uint8]
    m: int


def compressed(weight: FloatArray) -> Packed | None:
    """The weight in the smallest of its packed forms; None if none takes less room than [outputs, inputs, h, w]."""
    packed = min((pack(weight, m) for m in GROUP_SIZES), key=lambda both: both.values.size)
    return packed if packed.values.size * 5 < weight.size * 4 else None


def pack(weight: FloatArray, m: int) -> Packed:
    """The weight [outputs, inputs, height, width] packed with groups of `m`."""
    outputs, inputs, height, width = weight.shape
    groups = math.ceil(inputs / m)
    padded = np.zeros((outputs, groups * m, height, width), np.float32)
    padded[:, :inputs] = weight
    grouped = padded.reshape(outputs, groups, m, height, width).transpose(0, 3, 4, 1, 2)
    n = int((grouped != 0).sum(-1).max(initial=0))
    places = np.argsort(grouped == 0, axis=-1, kind="stable")[..., :n]  # those other than zero first, in order
    values = np.take_along_axis(grouped, places, -1)
    return Packed(values, np.where(values == 0, 0, places).astype(np.uint8), m)


def _stored(node: str, tensors: Tensors, **arrays: NDArray[Any]) -> dict[str, Any]:
    """Add arrays to the file's tensors; the entries that name them."""
    entry = {}
    for key, array in arrays.items():
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise SparsrError(f"{node}: its {key} holds values that are not numbers", "train the network again")
        entry[key] = f"{node}.{key}"
        tensors[entry[key]] = array
    return entry


def _safetensors(tensors: Tensors, metadata: Mapping[str, str]) -> bytes:
    """A file in the safetensors format, its entries in the given order: the same input gives the same bytes."""
    kinds = {np.dtype(np.float32): "F32", np.dtype(np.uint8): "U8"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    content = bytearray()
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].itemsize):  # floats first: they stay aligned
        data = np.ascontiguousarray(array).tobytes()
        place = [len(content), len(content) + len(data)]
        header[name] = {"dtype": kinds[array.dtype], "shape": list(array.shape), "data_offsets": place}
        content += data
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + bytes(content)
