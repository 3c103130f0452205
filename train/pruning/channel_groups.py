"""Which filters of which convolutions must be removed together: the channel dependency graph of any network.

Channels are followed one by one through the traced network (residual additions, element-wise products,
concats, slices, pixel shuffles, grouped convolutions), not "previous convolution in module order". Filters
whose channels meet form a unit; units that live in the same places form a `ChannelGroup`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from sparsr.train.networks.base import ColourMap, MeanShift
from sparsr.train.networks.tracing import Operation, trace
from sparsr.train.networks.widths import convolutions, slopes

Places = Mapping[str, tuple[tuple[int, ...], ...]]
"""Per convolution: for every unit, the channel indices that belong to it."""


@dataclass(frozen=True)
class ChannelGroup:
    """Units that can be removed one by one: channels of a feature map with all that depends on them."""

    name: str
    """The first convolution that writes it; with its filters `[a:b]` if that one starts several groups."""
    writer_filters: Places
    """Output filters of every convolution that writes these channels."""
    reader_channels: Places
    """Input channels of every convolution that reads them."""
    slope_channels: Places
    """Channels of every PReLU that they go through."""
    blocks: tuple[tuple[int, ...], ...]
    """Units by group of the grouped convolutions around them: every block must keep equally many."""
    reason: str = ""
    """Why no unit can be removed; empty if they can."""

    @property
    def prunable(self) -> bool:
        """Whether units can be removed."""
        return not self.reason

    @property
    def size(self) -> int:
        """Number of units."""
        return sum(map(len, self.blocks))

    @property
    def writers(self) -> tuple[str, ...]:
        """Convolutions that write these channels, in execution order."""
        return tuple(self.writer_filters)

    @property
    def readers(self) -> tuple[str, ...]:
        """Convolutions that read these channels, in execution order."""
        return tuple(self.reader_channels)

    def filters(self, writer: str) -> tuple[tuple[int, ...], ...]:
        """Output filters of `writer` per unit: one each, or r * r before a pixel shuffle by r."""
        return self.writer_filters[writer]

    def channels(self, reader: str) -> tuple[tuple[int, ...], ...]:
        """Input channels of `reader` per unit; several if the unit reaches it by several ways."""
        return self.reader_channels[reader]


def channel_groups(network: nn.Module) -> list[ChannelGroup]:
    """All channel groups of `network` in execution order, the fixed ones (`prunable` False) included.

    Every output filter of every convolution belongs to exactly one unit of one group; masked blocks and transposed
    convolutions keep all their channels. Raises `SparsrError` naming the operation if the network cannot be traced.
    """
    graph = _Channels(network)
    # Units with the same places belong together: {head.0, body.0.body.2, ...} is the residual stream.
    alike: dict[tuple[frozenset[tuple[str, int]], frozenset[tuple[str, int]]], list[_Unit]] = defaultdict(list)
    for unit in graph.units():
        alike[_signature(unit.filters), _signature(unit.channels)].append(unit)
    first = Counter(next(iter(units[0].filters)) for units in alike.values())
    return [_group(units, first, graph) for units in alike.values()]


@dataclass
class _Unit:
    """One set of channels that live and die together."""

    filters: dict[str, list[int]]
    channels: dict[str, list[int]]
    slopes: dict[str, list[int]]
    reason: str = ""


def _signature(places: Mapping[str, list[int]]) -> frozenset[tuple[str, int]]:
    return frozenset((name, len(indices)) for name, indices in places.items())


def _group(units: list[_Unit], first: Counter[str], graph: _Channels) -> ChannelGroup:
    writer = next(iter(units[0].filters))
    own = [unit.filters[writer] for unit in units]
    name = writer if first[writer] == 1 else f"{writer}[{own[0][0]}:{own[-1][-1] + 1}]"
    group = ChannelGroup(
        name,
        {conv: tuple(tuple(unit.filters[conv]) for unit in units) for conv in units[0].filters},
        {conv: tuple(tuple(unit.channels[conv]) for unit in units) for conv in units[0].channels},
        {prelu: tuple(tuple(unit.slopes[prelu]) for unit in units) for prelu in units[0].slopes},
        (tuple(range(len(units))),),
    )
    blocks, reason = _blocks(group, graph.convs)
    reason = next((unit.reason for unit in units if unit.reason), reason)
    return replace(group, blocks=blocks, reason=reason)


def _blocks(group: ChannelGroup, convs: Mapping[str, nn.Conv2d]) -> tuple[tuple[tuple[int, ...], ...], str]:
    """Units by their place in grouped convolutions, and why they cannot be removed (empty if they can)."""
    keys: list[tuple[int, ...]] = [() for _ in range(group.size)]
    whole = group.blocks
    written = [(name, places, convs[name].out_channels) for name, places in group.writer_filters.items()]
    read = [(name, places, convs[name].in_channels) for name, places in group.reader_channels.items()]
    for name, places, channels in written + read:
        conv = convs[name]
        if conv.groups == 1:
            continue
        if conv.groups in (conv.in_channels, conv.out_channels):
            return whole, f"convolution {name} has one channel per group"
        block_size = channels // conv.groups
        members = [{index // block_size for index in unit} for unit in places]
        counts = Counter(min(member) for member in members)
        if any(len(member) > 1 for member in members) or len(counts) != conv.groups or len(set(counts.values())) > 1:
            return whole, f"the groups of convolution {name} hold unequal parts of these channels"
        keys = [(*key, min(member)) for key, member in zip(keys, members, strict=True)]
    cells: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for unit, key in enumerate(keys):
        cells[key].append(unit)
    if len({len(cell) for cell in cells.values()}) > 1:
        return whole, f"the grouped convolutions around {group.name} divide these channels differently"
    return tuple(map(tuple, cells.values())), ""


class _Channels:
    """Follows every channel through the traced network; a channel is a number in a union-find forest.

    Numbers stand for the filters of the convolutions and the colours of the image. A removed channel must be
    zero wherever a convolution reads it, else removing it and masking it would differ: `nonzero` names the
    tensors for which that fails (a sigmoid of 0 is 0.5).
    """

    def __init__(self, network: nn.Module) -> None:
        self.convs = convolutions(network)
        self.parent: list[int] = []
        self.reasons: dict[int, str] = {}
        self.filters: dict[str, list[int]] = {}
        self.reads: dict[str, list[int]] = {}
        self.slopes: dict[str, list[int]] = {}
        self.shared_slopes = {name for name, prelu in slopes(network).items() if prelu.num_parameters == 1}
        traced = trace(network)
        image = self._fresh(traced.input_channels)
        self._fix(image, "these are the colours of the network's input")
        self.tensors = {traced.input: image}
        self.nonzero = {traced.input}
        for operation in traced.operations:
            self.tensors[operation.name] = self._output(operation)
            if self._may_be_nonzero(operation):
                self.nonzero.add(operation.name)
        self._fix(self.tensors[traced.output], "these are the colours of the network's output")

    def units(self) -> list[_Unit]:
        """Every set of united filters, ordered by first writer and filter."""
        units: dict[int, _Unit] = {}
        for name, filters in self.filters.items():
            for index, channel in enumerate(filters):
                unit = units.setdefault(self._root(channel), _Unit({}, {}, {}))
                unit.filters.setdefault(name, []).append(index)
        for name, channels in self.reads.items():
            for index, channel in enumerate(channels):
                if self._root(channel) in units:
                    units[self._root(channel)].channels.setdefault(name, []).append(index)
        for name, channels in self.slopes.items():
            for index, channel in enumerate(channels):
                if self._root(channel) in units:
                    units[self._root(channel)].slopes.setdefault(name, []).append(index)
        for channel, reason in self.reasons.items():
            if self._root(channel) in units:
                units[self._root(channel)].reason = reason
        return list(units.values())

    def _fresh(self, count: int) -> list[int]:
        channels = list(range(len(self.parent), len(self.parent) + count))
        self.parent += channels
        return channels

    def _root(self, channel: int) -> int:
        while self.parent[channel] != channel:
            self.parent[channel] = self.parent[self.parent[channel]]
            channel = self.parent[channel]
        return channel

    def _unite(self, first: Sequence[int], second: Sequence[int]) -> None:
        for a, b in zip(first, second, strict=True):
            self.parent[self._root(b)] = self._root(a)

    def _fix(self, channels: Sequence[int], reason: str) -> None:
        for channel in channels:
            self.reasons.setdefault(channel, reason)

    def _output(self, operation: Operation) -> list[int]:
        """The channels of the tensor `operation` writes."""
        inputs = [self.tensors[name] for name in operation.inputs]
        match operation.kind:
            case "conv":
                return self._conv(operation, inputs[0])
            case "conv_transpose" | "masked":
                for channels in inputs:
                    self._fix(channels, f"{operation.module} reads them, which keeps its channels")
                fresh = self._fresh(operation.channels)
                self._fix(fresh, f"{operation.module} writes them, which keeps its channels")
                return fresh
            case "channel_affine":
                self._fix(inputs[0], f"{operation.module} has a factor for each of them")
            case "prelu":
                if operation.module not in self.shared_slopes:
                    self._unite(self.slopes.setdefault(operation.module, inputs[0]), inputs[0])
            case "add" | "sub" | "mul":
                self._unite(*inputs)
            case "join":
                for other in inputs[1:]:
                    self._unite(inputs[0], other)
            case "concat":
                return [channel for tensor in inputs for channel in tensor]
            case "slice":
                return inputs[0][operation.options["start"] : operation.options["stop"]]
            case "pixel_shuffle":
                size = operation.options["block"] ** 2
                for start in range(0, len(inputs[0]), size):
                    self._unite([inputs[0][start]] * size, inputs[0][start : start + size])
                return inputs[0][::size]
            case "pixel_unshuffle":
                return [channel for channel in inputs[0] for _ in range(operation.options["block"] ** 2)]
        return inputs[0]

    def _conv(self, operation: Operation, inputs: list[int]) -> list[int]:
        name = operation.module
        conv = self.convs[name]
        if operation.inputs[0] in self.nonzero:
            self._fix(inputs, f"convolution {name} reads them after an operation that does not keep zeros")
        if name in self.filters:  # called before: both calls use the same filters on the same channels
            self._unite(self.reads[name], inputs)
            return self.filters[name]
        self.reads[name] = inputs
        self.filters[name] = self._fresh(conv.out_channels)
        if isinstance(conv, MeanShift):
            self._unite(inputs, self.filters[name])
            self._fix(inputs, "these are colours")
        elif isinstance(conv, ColourMap):
            self._fix([*inputs, *self.filters[name]], "these are colours")
        return self.filters[name]

    def _may_be_nonzero(self, operation: Operation) -> bool:
        """Whether the written tensor may differ from 0 in channels whose filters and biases are all 0."""
        flags = [name in self.nonzero for name in operation.inputs]
        match operation.kind:
            case "conv" | "conv_transpose" | "masked":
                return False
            case "sigmoid" | "channel_affine":
                return True
            case "affine":
                return flags[0] or operation.options["offset"] != 0
            case "clip":
                return flags[0] or not operation.options["low"] <= 0 <= operation.options["high"]
            case "mul":
                return all(flags)
            case "resize":
                return flags[0]
        return any(flags)
