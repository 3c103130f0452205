"""How many channels every group keeps so that what is left costs no more than a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import nn

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork
from sparsr.train.pruning.channel_groups import ChannelGroup, channel_groups
from sparsr.train.pruning.selection import considered

Counts = dict[str, int]
"""Kept units by group name."""


def removable(network: SRNetwork, skip: Sequence[str]) -> list[ChannelGroup]:
    """The groups that can lose channels. Raises `SparsrError` if there are none."""
    groups = considered(channel_groups(network), skip)
    if not groups:
        raise SparsrError("the network has no channels that could go", "try --method sls or nm")
    return groups


def scaled(groups: Sequence[ChannelGroup], part: float, step: int = 1) -> Counts:
    """About `part` of every group, rounded down to multiples of `step`, at least one of them (or all there are)."""

    def kept(group: ChannelGroup) -> int:
        together = len(group.blocks) * step
        return min(group.size, together * max(1, math.floor(part * group.size / together)))

    return {group.name: kept(group) for group in groups}


def widest(
    groups: Sequence[ChannelGroup], cost: Callable[[Counts], float], limit: float, step: int = 1
) -> Counts | None:
    """Counts, multiples of `step`, that cost at most `limit`: about the same share of every group; nothing more fits.

    None if not even the fewest do.
    """
    low, high = 0.0, 1.0
    if cost(scaled(groups, low, step)) > limit:
        return None
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(scaled(groups, middle, step)) <= limit else (low, middle)
    counts = scaled(groups, low, step)
    growing = True
    while growing:
        growing = False
        for group in sorted(groups, key=lambda g: counts[g.name] / g.size):
            more = counts | {group.name: min(group.size, counts[group.name] + step * len(group.blocks))}
            if more != counts and cost(more) <= limit:
                counts, growing = more, True
    return counts


def sizes(convs: Mapping[str, nn.Conv2d], groups: Sequence[ChannelGroup], counts: Counts) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of every convolution if the groups keep so many units."""
    outputs = {name: conv.out_channels for name, conv in convs.items()}
    inputs = {name: conv.in_channels for name, conv in convs.items()}
    for group in groups:
        gone = group.size - counts[group.name]
        for writer in group.writers:
            outputs[writer] -= gone * len(group.filters(writer)[0])
        for reader in group.readers:
            inputs[reader] -= gone * len(group.channels(reader)[0])
    return {name: (outputs[name], inputs[name]) for name in convs}
