"""GASSL: HAIR finds how many channels every layer keeps, then ASSL prunes the dense network with these counts.

HAIR puts the same slowly growing L2 penalty on all scales: to second order a scale with curvature h shrinks by
h / (h + penalty), so flat, unimportant directions shrink faster and a plain ranking of magnitudes over all layers
becomes aware of the Hessian without computing it. The stages follow the authors' published command lines.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.weight_norm import add_weight_norm, merge_weight_norm
from sparsr.train.pruning.assl import Assl, growth_updates, penalise, scale_scores
from sparsr.train.pruning.channel_groups import ChannelGroup
from sparsr.train.pruning.method import Phase
from sparsr.train.pruning.selection import bounded, unit_scores
from sparsr.train.pruning.settings import GasslSettings
from sparsr.train.pruning.slimming import slim
from sparsr.train.quality.complexity import macs

Counts = dict[str, int]


def counts_below(scales: dict[str, Tensor], groups: list[ChannelGroup], threshold: float, round_to: int) -> Counts:
    """Kept units per group when every unit with a scale below `threshold` goes, at least one kept per layer.

    scales: {group: |scale| [writers, units]}. Layers that share channels get the floor of their mean removed count.
    """
    counts = {}
    for group in groups:
        below = (scales[group.name] < threshold).sum(dim=1).clamp(max=group.size - 1)
        removed = int(below.sum()) // len(group.writers)
        counts[group.name] = bounded(group.size - removed, group, round_to)
    return counts


class Gassl(Assl):
    """HAIR, then ASSL from the dense weights again."""

    settings: GasslSettings

    def __init__(self, settings: GasslSettings, dense: Callable[[], SRNetwork]) -> None:
        """`dense` loads the network the run started from: what HAIR trained is thrown away."""
        super().__init__(settings)
        self._dense = dense

    def phases(self) -> list[Phase]:
        """HAIR before ASSL's three."""
        s = self.settings
        steps = s.hair_interval * growth_updates(s.hair_limit, s.hair_granularity)
        return [Phase("hair", steps, self._rate, self._begin_hair, None, self._adjust_in_hair), *super().phases()]

    def _begin_hair(self, network: SRNetwork) -> SRNetwork:
        scaled = copy.deepcopy(network)
        add_weight_norm(scaled)
        return scaled

    def _adjust_in_hair(self, network: SRNetwork, step: int) -> None:
        coefficient = step // self.settings.hair_interval * self.settings.hair_granularity
        for group in self.groups(network):
            penalise(network, group, torch.full((group.size,), coefficient))

    def _begin_ssa(self, network: SRNetwork) -> SRNetwork:
        self.counts = self._select(network)
        return super()._begin_ssa(self._dense().to(next(network.parameters()).device))

    def _select(self, network: SRNetwork) -> Counts:
        groups = self.groups(network)
        layer_scores = {name: scale.detach().abs() for name, scale in scale_scores(network).items()}
        scales = {group.name: unit_scores(layer_scores, group) for group in groups}
        ordered = torch.cat([scale.flatten() for scale in scales.values()]).sort().values

        def counts(index: int) -> Counts:
            return counts_below(scales, groups, float(ordered[index]), self.settings.round_to)

        if not self.settings.macs:
            return counts(min(math.ceil(self.settings.ratio * len(ordered)), len(ordered) - 1))
        return _meet_budget(network, counts, len(ordered), self.settings.macs)


def _meet_budget(network: SRNetwork, counts: Callable[[int], Counts], total: int, share: float) -> Counts:
    """The smallest threshold whose network has at most `share` of the multiply-adds; counts fall as it rises."""
    plain = copy.deepcopy(network)
    merge_weight_norm(plain)
    budget = share * macs(plain, 32, 32)

    def fits(index: int) -> bool:
        kept = {name: list(range(count)) for name, count in counts(index).items()}
        return macs(slim(plain, kept), 32, 32) <= budget

    low, high = 0, total - 1
    if not fits(high):
        raise SparsrError(f"prune.macs = {share} cannot be met with one channel kept per layer", "raise prune.macs")
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return counts(low)
