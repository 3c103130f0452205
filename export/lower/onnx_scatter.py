"""The rule that lowers ScatterND: channels of a map written over by another's, as `x[:, :k] = f(x[:, :k])` does.

Or maps written into every second row and column, as inverse wavelet transforms are. Exporters spell both out with
slices and transpositions in between: numbers are sent through all of them, and each value is told by whose it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from sparsr.export.ir.layers import Concat, DepthToSpace, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_probe import session
from sparsr.export.lower.onnx_site import Lowered, Site

Channel = tuple[int, int]
"""Which of the maps, and which channel of it."""
_LARGEST_BLOCK = 8
_MOVING = frozenset(
    ["Concat", "Expand", "Gather", "Identity", "Reshape", "ScatterND", "Slice", "Squeeze", "Transpose", "Unsqueeze"]
)
_MOST_NODES = 256


class _Origins(NamedTuple):
    """Of every value of the result, [channels, height, width]: which map it comes from, and from which place there."""

    which: NDArray[np.intp]
    place: NDArray[np.intp]
    shapes: list[tuple[int, ...]]
    """Of the maps."""


def writes(node: onnx.NodeProto, lowered: Lowered) -> bool:
    """Whether a node writes into a map, or transposes such a node's result."""
    before = lowered.producers.get(node.input[0]) if node.op_type == "Transpose" else node
    return before is not None and before.op_type == "ScatterND" and before.output[0] in lowered.probe.of_pixels


def written_maps(node: onnx.NodeProto, lowered: Lowered) -> list[str]:
    """The maps that a writing node's result is put together of."""
    return _cone(node, lowered)[1]


def _cone(node: onnx.NodeProto, lowered: Lowered) -> tuple[list[onnx.NodeProto], list[str]]:
    """The nodes that only move values and end in this one, in order, and the maps that they begin with."""
    nodes: dict[str, onnx.NodeProto] = {}
    maps: dict[str, None] = {}

    def visit(name: str) -> None:
        producer = lowered.producers.get(name)
        if name in nodes or name not in lowered.probe.of_pixels:
            return
        if producer is None or producer.op_type not in _MOVING or len(nodes) >= _MOST_NODES:
            maps[name] = None
            return
        for operand in filter(None, producer.input):
            visit(operand)
        nodes[name] = producer

    visit(node.output[0])
    return list(nodes.values()), list(maps)


def scatter(site: Site) -> str:
    """ScatterND, or the Transpose after one."""
    nodes, names = site.with_lowered(_cone)
    site.require(all(site.probe.is_map(name) for name in names), "it writes what is no feature map")
    plain = all(entry.name != "reduction" or entry.s == b"none" for part in nodes for entry in part.attribute)
    site.require(plain, "only values that replace others are handled")
    found = [_origins(site, nodes, names, image) for image in range(len(site.probe.sizes))]
    channels = {_whole_channels(origins) for origins in found}
    if len(channels) == 1 and (whole := channels.pop()) is not None:
        return _joined(site, names, whole)
    blocks = {_blocks(origins) for origins in found}
    block = blocks.pop()
    if blocks or block is None:
        site.refuse("only whole channels, or all of every so many rows and columns, are written over")
    return _shuffled(site, [names[number] for number in block])


def _joined(site: Site, names: list[str], channels: tuple[Channel, ...]) -> str:
    parts, start = list[str](), 0
    for stop in range(1, len(channels) + 1):
        which, first = channels[start]
        if stop < len(channels) and channels[stop] == (which, first + stop - start):
            continue
        source, last = site.map_called(names[which]), first + stop - start
        whole = (first, last) == (0, site.probe.channels(names[which]))
        parts.append(source if whole else site.emit(SliceChannels(first, last), [source], f".part{start}"))
        start = stop
    return site.emit(Concat(), parts) if len(parts) > 1 else parts[0]


def _shuffled(site: Site, names: list[str]) -> str:
    """Maps, each of one sub-pixel, line by line."""
    side, channels = int(len(names) ** 0.5), len(names) * site.probe.channels(names[0])
    joined = site.emit(Concat(), [site.map_called(name) for name in names], ".joined")
    order = phases.channel_map(np.eye(channels)[phases.depth_first(channels, side)])
    return site.emit(DepthToSpace(side), [site.emit(order, [joined], ".order")])


def _origins(site: Site, nodes: list[onnx.NodeProto], names: list[str], image: int) -> _Origins:
    """Numbers from 1 on; 0 is what is no map's."""
    shapes = [site.probe.values[name][image].shape for name in names]
    starts = 1 + np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    numbered = {
        name: (start + np.arange(np.prod(shape))).reshape(shape).astype(np.float32)
        for name, start, shape in zip(names, starts, shapes, strict=False)
    }
    inner = {name for node in nodes for name in node.output}
    others = {name for node in nodes for name in node.input if name and name not in inner and name not in numbered}
    tensors = [onnx.numpy_helper.from_array(_value(site, name, image), name) for name in sorted(others)]
    ends = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape)
        for n, shape in zip(names, shapes, strict=True)
    ]
    outs = [onnx.helper.make_empty_tensor_value_info(site.output)]
    body = onnx.helper.make_graph(nodes, "moves", ends, outs, tensors)
    model = onnx.helper.make_model(body, opset_imports=list(site.probe.model.opset_import), ir_version=8)
    (moved,) = session(model.SerializeToString()).run(None, numbered)
    result = np.asarray(moved[0], np.int64)
    which = np.searchsorted(starts, result, side="right") - 1
    return _Origins(which, result - starts[np.maximum(which, 0)], shapes)


def _value(site: Site, name: str, image: int) -> NDArray[Any]:
    constant = site.probe.constants.get(name)
    return np.asarray(site.probe.values[name][image] if constant is None else constant)


def _whole_channels(origins: _Origins) -> tuple[Channel, ...] | None:
    """Of every channel what it holds; None if it holds something of several maps, or nothing whole."""
    found = []
    for which, place in zip(origins.which, origins.place, strict=True):
        channel = int(place.flat[0]) // place.size
        whole = np.array_equal(place.ravel(), channel * place.size + np.arange(place.size))
        if which.flat[0] < 0 or (which != which.flat[0]).any() or not whole:
            return None
        found.append((int(which.flat[0]), channel))
    return tuple(found)


def _blocks(origins: _Origins) -> tuple[int, ...] | None:
    """Which map every sub-pixel holds, line by line; None if they are no whole maps."""
    for side in range(2, _LARGEST_BLOCK + 1):
        found = []
        for dy, dx in np.ndindex(side, side):
            own, places = (array[:, dy::side, dx::side] for array in (origins.which, origins.place))
            number = int(own.flat[0])
            whole = origins.shapes[number][1:] == places.shape and np.array_equal(
                places.ravel(), np.arange(places.size)
            )
            if (own != number).any() or not whole:
                break
            found.append(number)
        if len(found) == side * side:
            return tuple(found)
    return None
