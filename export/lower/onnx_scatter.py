"""The rule that lowers ScatterND: channels of a map written over by another's, as `x[:, :k] = f(x[:, :k])` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from sparsr.export.ir.layers import Concat, SliceChannels
from sparsr.export.lower.onnx_site import Site

Channel = tuple[int, int]
"""Which of the two maps (0, or 1 for the one that is written), and which channel of it."""


def scatter(site: Site) -> str:
    """The numbers 0, 1, 2, ... are written over by others, and each channel of the result is told by whose it holds.

    The node may be the Transpose after a ScatterND whose maps are transposed as well, as torch.export writes it.
    """
    node = site.node if site.node.op_type == "ScatterND" else site.producer(site.node.input[0])
    assert node is not None
    plain = all(entry.name != "reduction" or entry.s == b"none" for entry in node.attribute)
    site.require(plain, "only values that replace others are handled")
    names = [_map_of(site, node.input[index]) for index in (0, 2)]
    found = {_sources(site, node, names, image) for image in range(len(site.probe.sizes))}
    channels = found.pop()
    if found or channels is None:
        site.refuse("only whole channels are written over")
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


def _map_of(site: Site, name: str) -> str:
    """The feature map that a tensor is, or is transposed from."""
    node = site.producer(name)
    return node.input[0] if node is not None and node.op_type == "Transpose" else name


def _sources(site: Site, node: onnx.NodeProto, names: list[str], image: int) -> tuple[Channel, ...] | None:
    """Of every channel what it holds; None if it holds something of both, or nothing whole."""
    shapes = [site.probe.values[name][image].shape for name in names]
    size = int(np.prod(shapes[0]))
    data, written = (
        _turned(site, node.input[index], start + np.arange(np.prod(shape)).reshape(shape))
        for index, start, shape in ((0, 0, shapes[0]), (2, size, shapes[1]))
    )
    places = site.probe.constants.get(node.input[1])
    result = data.copy()
    result[tuple(np.moveaxis(site.probe.values[node.input[1]][image] if places is None else places, -1, 0))] = written
    found = []
    for plane in _turned(site, site.output, result)[0]:
        which = int(plane.flat[0] >= size)
        channel = int(plane.flat[0] - which * size) // plane.size
        if not np.array_equal(plane.ravel(), which * size + channel * plane.size + np.arange(plane.size)):
            return None
        found.append((which, channel))
    return tuple(found)


def _turned(site: Site, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Transposed, if that is how the tensor is made."""
    node = site.producer(name)
    if node is None or node.op_type != "Transpose":
        return values
    order = next((list(entry.ints) for entry in node.attribute if entry.name == "perm"), None)
    return values.transpose(order)
