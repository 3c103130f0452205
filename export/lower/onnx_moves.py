"""Values that are only moved or repeated: pixel shuffles either way, channel shuffles, repeated channels and pixels.

Exporters spell them out by Reshape, Transpose, Squeeze, Expand and the like in as many ways as there are opsets. The
nodes are not read: they move the numbers 0, 1, 2, ... and where each arrives says what they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from sparsr.export.ir.layers import Conv, DepthToSpace, Nearest
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_probe import Probe, session
from sparsr.export.lower.phases import Steps

_MOVING = frozenset(
    ["Expand", "Flatten", "Gather", "GatherND", "Identity", "Reshape", "Squeeze", "Tile", "Transpose", "Unsqueeze"]
)
_LONGEST = 16  # nodes
_LARGEST_FACTOR = 8
Places = NDArray[np.int64]
"""[channels, height, width]: where each value comes from, counted through the source."""


class Moves:
    """Finds what chains of moving nodes do."""

    def __init__(self, model: onnx.ModelProto, probe: Probe) -> None:
        self._probe, self._opset = probe, list(model.opset_import)
        self._nodes = {name: node for node in model.graph.node for name in node.output}

    def ending_at(self, node: onnx.NodeProto) -> tuple[str, Steps] | None:
        """The map that the longest chain ending at `node` begins with, and layers that do the same."""
        result = node.output[0]
        if not self._probe.is_map(result):
            return None
        chain = list(self._chain(node))
        for length in range(len(chain), 0, -1):
            source = chain[length - 1].input[0]
            if self._probe.is_map(source) and (steps := self._steps(chain[:length], source, result)) is not None:
                return source, steps
        return None

    def mixing_at(self, node: onnx.NodeProto) -> tuple[str, Steps] | None:
        """Channels of one pixel mixed by a convolution along them, as in ECA, between nodes that move them."""
        result = node.output[0]
        if not self._probe.is_map(result) or set(self._probe.size(result)) != {(1, 1)}:
            return None
        chain = list(self._chain(node, _MOVING | {"Conv"}))
        source = chain[-1].input[0] if chain else ""
        along = [part for part in chain if part.op_type == "Conv" and not self._probe.is_map(part.output[0])]
        if not along or not self._probe.is_map(source) or set(self._probe.size(source)) != {(1, 1)}:
            return None
        shape, channels = self._probe.values[source][0].shape, self._probe.channels(source)
        vectors = np.concatenate([np.zeros((1, channels)), np.eye(channels)]).astype(np.float32)
        answers = [self._run(chain, source, result, 0, vector.reshape(shape)) for vector in vectors]
        if any(answer is None for answer in answers):
            return None
        offset, *columns = [np.ravel(answer) for answer in answers]  # type: ignore[arg-type]
        mixed = phases.channel_map(np.stack([column - offset for column in columns], axis=1))
        return source, [("", replace(mixed, bias=offset.astype(np.float32)))]

    def _chain(self, node: onnx.NodeProto, operators: frozenset[str] = _MOVING) -> Iterator[onnx.NodeProto]:
        """The node and those before it, as long as they are of the operators, which only move values."""
        current: onnx.NodeProto | None = node
        for _ in range(_LONGEST):
            if current is None or current.op_type not in operators or current.input[0] in self._probe.constants:
                return
            yield current
            current = self._nodes.get(current.input[0])

    def _steps(self, chain: list[onnx.NodeProto], source: str, result: str) -> Steps | None:
        found: _Kind | None = None
        for image in range(len(self._probe.sizes)):
            before = _as_map(self._probe.values[source][image]).shape
            places = self._places(chain, source, result, image)
            again = None if places is None else _kind(places, before)
            if again is None or found not in (None, again):
                return None
            found = again
        return None if found is None else found.steps()

    def _places(self, chain: list[onnx.NodeProto], source: str, result: str, image: int) -> Places | None:
        """Where the values of the result come from, for one of the probe's images."""
        shape = self._probe.values[source][image].shape
        numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        moved = self._run(chain, source, result, image, numbers)
        return None if moved is None else np.asarray(_as_map(moved), np.int64)

    def _run(
        self, chain: list[onnx.NodeProto], source: str, result: str, image: int, values: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """What the chain makes of other values, its further operands those of one of the probe's images."""
        inner = {name for node in chain for name in node.output} | {source}
        others = {name for node in chain for name in node.input if name and name not in inner}
        tensors = [onnx.numpy_helper.from_array(self._operand(name, image), name) for name in sorted(others)]
        ends = [onnx.helper.make_tensor_value_info(source, onnx.TensorProto.FLOAT, values.shape)]
        outs = [onnx.helper.make_empty_tensor_value_info(result)]
        body = onnx.helper.make_graph(chain[::-1], "moves", ends, outs, tensors)
        model = onnx.helper.make_model(body, opset_imports=self._opset, ir_version=8)
        try:
            (moved,) = session(model.SerializeToString()).run(None, {source: values})
        except Exception:  # ONNX Runtime's exceptions have no common base; then the nodes are lowered one by one
            return None
        return np.asarray(moved, np.float32)

    def _operand(self, name: str, image: int) -> NDArray[np.generic]:
        constant = self._probe.constants.get(name)
        return np.asarray(self._probe.values[name][image] if constant is None else constant)


@dataclass(frozen=True)
class _Kind:
    """A way to move values: channels are chosen, then blocks of channels become pixels or pixels become channels."""

    sources: tuple[int, ...]
    """For each channel of the result (before a shuffle, after an unshuffle) the one that it is."""
    channels: int
    """Of the source (after an unshuffle)."""
    block: int
    """Side of the blocks."""
    apart: bool = False
    """Whether pixels become channels, not channels pixels."""

    def steps(self) -> Steps:
        """As layers."""
        block, everything = self.block, tuple(range(self.channels))
        if self.apart:
            conv = phases.pixel_unshuffle(self.channels // block**2, block)
            return [("", conv if self.sources == everything else self._chosen(conv))]
        if block > 1 and self.sources == tuple(np.repeat(everything, block**2).tolist()):
            return [("", Nearest(block))]
        order = phases.channel_map(np.eye(self.channels)[list(self.sources)])
        shuffle: Steps = [("", DepthToSpace(block))] if block > 1 else []
        return shuffle if self.sources == everything else [(".order" if shuffle else "", order), *shuffle]

    def _chosen(self, unshuffle: Conv) -> Conv:
        """The convolution that picks the pixels of the channels chosen."""
        channels = self.channels // self.block**2
        weight = np.zeros((self.channels, channels, self.block, self.block), np.float32)
        numbers = np.arange(self.channels)
        weight[numbers, numbers // self.block**2] = unshuffle.weight[:, 0]
        weight = weight[list(self.sources)]
        return Conv(weight, np.zeros(len(weight), np.float32), stride=self.block)


def _kind(places: Places, before: tuple[int, ...]) -> _Kind | None:
    """What the places mean if they follow one rule."""
    channels, height, width = before
    pixels = np.arange(height * width).reshape(height, width)
    for block in range(1, _LARGEST_FACTOR + 1):
        if places.shape[1:] == (height * block, width * block):
            blocks = places.reshape(-1, height, block, width, block).transpose(0, 2, 4, 1, 3).reshape(-1, height, width)
            sources = blocks[:, 0, 0] // (height * width)
            good = np.array_equal(blocks, sources[:, None, None] * height * width + pixels)
            return _Kind(tuple(sources.tolist()), channels, block) if good else None
        if block > 1 and (places.shape[1] * block, places.shape[2] * block) == (height, width):
            numbers = np.arange(channels * height * width).reshape(channels, height // block, block, -1, block)
            blocks = numbers.transpose(0, 2, 4, 1, 3).reshape(-1, *places.shape[1:])
            firsts = {int(number): index for index, number in enumerate(blocks[:, 0, 0])}
            found = [firsts.get(int(number), -1) for number in places[:, 0, 0]]
            good = min(found) >= 0 and np.array_equal(blocks[found], places)
            return _Kind(tuple(found), len(blocks), block, True) if good else None
    return None


def _as_map(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[channels, height, width], one pixel if there are no such axes."""
    return values.reshape(*values.shape[1:], *([1] * (4 - values.ndim)))
