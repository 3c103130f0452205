"""ASSL, aligned structured sparsity learning (Zhang et al., NeurIPS 2021): scales, alignment, growing regularisation.

Stages: SSA (an alignment penalty on the scales of layers that share channels, while layers with channels of their
own already feel growing regularisation), growing regularisation on the scales and biases of the channels picked to
go, stabilising; then the scales are merged, the channels removed, and fine-tuning starts.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from sparsr.train.networks import SRNetwork
from sparsr.train.networks.weight_norm import WeightNormConv2d, add_weight_norm
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.channel_groups import ChannelGroup, channel_groups
from sparsr.train.pruning.l1 import kept_of, kept_tensors, part_of, slimmed
from sparsr.train.pruning.method import Method, Phase
from sparsr.train.pruning.selection import align, best_units, considered, kept_counts, unit_scores
from sparsr.train.pruning.settings import AsslSettings


def scale_scores(network: SRNetwork) -> dict[str, Tensor]:
    """Signed wn_scale of every weight-normalised layer: {layer: [out]}."""
    return {name: conv.wn_scale for name, conv in convolutions(network).items() if isinstance(conv, WeightNormConv2d)}


def growth_updates(limit: float, granularity: float) -> int:
    """Increments until a coefficient exceeds the limit."""
    return math.floor(limit / granularity + 1e-9) + 1


def alignment_penalty(scales: Tensor, removed: int) -> Tensor:
    """SSA's penalty for one group of layers that share channels (ASSL, section 3.3).

    scales: signed, [layers, channels]. Each layer's soft mask is sigmoid(scale - theta), theta being its smallest
    kept scale; the result is minus the mean overlap of the masks over all pairs of layers.
    """
    theta = scales.sort(dim=1).values[:, removed : removed + 1]
    masks = torch.sigmoid(scales - theta)
    return -(masks @ masks.T).mean()


def penalise(network: nn.Module, group: ChannelGroup, coefficients: Tensor) -> None:
    """Add coefficient * value to the gradients of scale and bias of the group's filters; coefficients: [units].

    The bias too: a removed channel must be silent, and its bias would still speak.
    """
    for writer in group.writers:
        conv = network.get_submodule(writer)
        assert isinstance(conv, WeightNormConv2d)
        filters = torch.tensor(group.filters(writer), device=conv.weight.device)
        spread = torch.zeros_like(conv.wn_scale)
        spread[filters] = coefficients.to(spread)[:, None]
        for parameter in (conv.wn_scale, conv.bias):
            if parameter is not None and parameter.grad is not None:
                parameter.grad.addcmul_(spread, parameter.detach())


class Assl(Method):
    """The method as a state machine: picks and coefficients per group, kept between phases and across kills."""

    def __init__(self, settings: AsslSettings, counts: dict[str, int] | None = None) -> None:
        self.settings = settings
        self.counts = counts
        """Kept counts per group found elsewhere (GASSL); None: by the settings."""
        self.updates: dict[str, Tensor] = {}
        """How often each unit's coefficient was incremented: {group: int64 [units]}."""
        self._groups: list[ChannelGroup] = []

    def phases(self) -> list[Phase]:
        """SSA, growing, stabilising, with the published fixed step size."""
        s = self.settings
        grow = s.interval * growth_updates(s.limit, s.granularity)
        return [
            Phase("ssa", s.ssa_steps, self._rate, self._begin_ssa, self._penalty, self._adjust_in_ssa),
            Phase("grow", grow, self._rate, self._begin_growing, None, self._adjust),
            Phase("stabilise", s.stabilise_steps, self._rate, adjust_gradients=self._apply),
        ]

    def finish(self, network: SRNetwork) -> SRNetwork:
        """Merge the scales into the weights and remove the picked channels."""
        assert self.kept is not None
        return slimmed(network, self.kept, self.settings.reinit)

    def fine_tuning(self, steps: int, rate: Callable[[int], float]) -> Phase:
        """Training of the slimmed network."""
        return Phase("finetune", steps, rate, self.finish)

    def state(self) -> dict[str, Tensor]:
        """Picks and increments."""
        updates = {f"updates/{name}": tensor for name, tensor in self.updates.items()}
        counts = {f"counts/{name}": torch.tensor(count) for name, count in (self.counts or {}).items()}
        return kept_tensors(self.kept) | updates | counts

    def load_state(self, state: dict[str, Tensor]) -> None:
        """As written by `state`."""
        self.kept = kept_of(state)
        self.updates = part_of(state, "updates")
        self.counts = {name: int(count) for name, count in part_of(state, "counts").items()} or None

    def groups(self, network: SRNetwork) -> list[ChannelGroup]:
        """The groups this run prunes; traced once, names do not change before slimming."""
        if not self._groups:
            self._groups = considered(channel_groups(network), self.settings.skip)
        return self._groups

    def _rate(self, step: int) -> float:
        return self.settings.lr

    def _begin_ssa(self, network: SRNetwork) -> SRNetwork:
        scaled = copy.deepcopy(network)
        add_weight_norm(scaled)
        self.counts = self.counts or kept_counts(self.groups(scaled), self.settings)
        self.updates = {group.name: torch.zeros(group.size, dtype=torch.int64) for group in self.groups(scaled)}
        self._pick(scaled)
        return scaled

    def _begin_growing(self, network: SRNetwork) -> SRNetwork:
        self._pick(network)  # anew for all groups, from the scales SSA has aligned
        return network

    def _pick(self, network: SRNetwork) -> None:
        assert self.counts is not None
        scores = {name: scale.detach().abs() for name, scale in scale_scores(network).items()}
        self.kept = {
            group.name: best_units(
                align(unit_scores(scores, group), self.settings.align), group, self.counts[group.name]
            )
            for group in self.groups(network)
        }

    def _penalty(self, network: SRNetwork, step: int) -> Tensor:
        assert self.counts is not None
        scales = scale_scores(network)
        total = torch.zeros((), device=next(network.parameters()).device)
        for group in self.groups(network):
            if len(group.writers) > 1:
                removed = group.size - self.counts[group.name]
                total = total + alignment_penalty(unit_scores(scales, group), removed)
        return self.settings.ssa_weight * total

    def _adjust_in_ssa(self, network: SRNetwork, step: int) -> None:
        own = [group for group in self.groups(network) if len(group.writers) == 1]
        self._grow(own, step)
        self._apply(network, step)

    def _adjust(self, network: SRNetwork, step: int) -> None:
        self._grow(self.groups(network), step)
        self._apply(network, step)

    def _grow(self, groups: Iterable[ChannelGroup], step: int) -> None:
        s = self.settings
        if step % s.interval:
            return
        last = growth_updates(s.limit, s.granularity)
        for group in groups:
            updates = self.updates[group.name]
            if int(updates.max()) < last:
                assert self.kept is not None
                removed = torch.ones(group.size, dtype=torch.int64)
                removed[self.kept[group.name]] = 0
                updates += removed

    def _apply(self, network: SRNetwork, step: int) -> None:
        for group in self.groups(network):
            penalise(network, group, self.updates[group.name] * self.settings.granularity)
