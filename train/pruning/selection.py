"""Which channels stay: how many per group, and which, from scores of the layers that write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Literal

import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.train.pruning.channel_groups import ChannelGroup
from sparsr.train.pruning.settings import FilterSettings
from sparsr.train.pruning.slimming import round_up, selected

Kept = dict[str, list[int]]
"""Indices of the units that stay, ascending, by group name."""


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a layer's name fits one of the shell patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def considered(groups: Sequence[ChannelGroup], skip: Sequence[str]) -> list[ChannelGroup]:
    """The groups a method may prune: removable, and written by no skipped layer."""
    return [group for group in groups if group.prunable and not any(matches(w, skip) for w in group.writers)]


def removed_count(total: int, ratio: float) -> int:
    """min(ceil(ratio * total), total - 1): the published rounding, checked against published widths."""
    return min(math.ceil(ratio * total), total - 1)


def kept_counts(groups: Sequence[ChannelGroup], settings: FilterSettings) -> dict[str, int]:
    """How many units every group keeps. Raises `SparsrError` for impossible settings."""
    counts = {}
    for group in groups:
        forced = {settings.layer_channels[w] for w in group.writers if w in settings.layer_channels}
        if len(forced) > 1:
            raise SparsrError(
                f"prune.layer_channels forces different counts {sorted(forced)} on layers that share channels"
            )
        if group.name in settings.group_channels:
            counts[group.name] = settings.group_channels[group.name]
        elif forced:
            counts[group.name] = forced.pop()
        elif settings.keep:
            counts[group.name] = settings.keep
        else:
            counts[group.name] = group.size - removed_count(group.size, settings.ratio)
    return {group.name: bounded(counts[group.name], group, settings.round_to) for group in groups}


def bounded(count: int, group: ChannelGroup, round_to: int) -> int:
    """`count` rounded up to a multiple and checked against the group's size."""
    if not 0 < count <= group.size:
        raise SparsrError(
            f"{group.name} cannot keep {count} of its {group.size} channels", "change prune.keep or prune.ratio"
        )
    return round_up(count, round_to, group.size)


def unit_scores(layer_scores: Mapping[str, Tensor], group: ChannelGroup) -> Tensor:
    """Scores per filter of each layer ([out]) gathered to [writers, units]; a unit's filters are averaged."""
    return torch.stack(
        [layer_scores[writer][torch.tensor(group.filters(writer))].mean(dim=1) for writer in group.writers]
    )


def align(scores: Tensor, how: Literal["first", "mean"]) -> Tensor:
    """One score per unit from [writers, units]; see `FilterSettings.align`."""
    if how == "first":
        return scores[0]
    return (scores / scores.mean(dim=1, keepdim=True).clamp_min(1e-12)).mean(dim=0)


def best_units(scores: Tensor, group: ChannelGroup, count: int) -> list[int]:
    """The `count` units with the largest scores [units], ascending."""
    return list(selected(group, scores.detach().tolist(), count, multiple=1))
