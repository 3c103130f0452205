"""L1 filter pruning (Li et al., ICLR 2017): the smallest filters go at once. The baseline of the comparisons."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sparsr.train.networks import SRNetwork
from sparsr.train.networks.weight_norm import merge_weight_norm
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.channel_groups import channel_groups
from sparsr.train.pruning.method import Method, Phase
from sparsr.train.pruning.selection import Kept, align, best_units, considered, kept_counts, matches, unit_scores
from sparsr.train.pruning.settings import FilterSettings, L1Settings
from sparsr.train.pruning.slimming import slim


def filter_scores(network: SRNetwork) -> dict[str, Tensor]:
    """Mean |weight| of every filter: {layer: [out]}."""
    return {name: conv.weight.detach().abs().mean(dim=(1, 2, 3)) for name, conv in convolutions(network).items()}


def slimmed(network: SRNetwork, kept: Kept, reinit: list[str]) -> SRNetwork:
    """A plain (weight norm merged) copy with only the kept channels; layers matching `reinit` start afresh."""
    plain = copy.deepcopy(network)
    merge_weight_norm(plain)
    small = slim(plain, kept)
    for name, conv in convolutions(small).items():
        if matches(name, reinit):
            conv.reset_parameters()
    return small


def largest(network: SRNetwork, settings: FilterSettings) -> Kept:
    """The units of every group with the largest mean |weight|, as many as the settings say."""
    groups = considered(channel_groups(network), settings.skip)
    counts, scores = kept_counts(groups, settings), filter_scores(network)
    return {
        group.name: best_units(align(unit_scores(scores, group), settings.align), group, counts[group.name])
        for group in groups
    }


def by_counts(network: SRNetwork, counts: dict[str, int]) -> Kept:
    """So many of the largest units of the groups named and all of the others; layers agree by their means."""
    return largest(network, L1Settings("l1", align="mean", round_to=1, group_channels=counts)) if counts else {}


def narrowed(network: SRNetwork, counts: dict[str, int]) -> SRNetwork:
    """A plain copy with so many channels (see `by_counts`); if none are named the network itself, traceable or not."""
    return slimmed(network, by_counts(network, counts), []) if counts else network


class L1(Method):
    """See the module's docstring."""

    def __init__(self, settings: FilterSettings) -> None:
        self.settings = settings

    def finish(self, network: SRNetwork) -> SRNetwork:
        """Rank by mean |weight|, slim."""
        self.kept = largest(network, self.settings)
        return slimmed(network, self.kept, self.settings.reinit)

    def fine_tuning(self, steps: int, rate: Callable[[int], float]) -> Phase:
        """Training of the slimmed network."""
        return Phase("finetune", steps, rate, self.finish)

    def state(self) -> dict[str, Tensor]:
        """The kept indices."""
        return kept_tensors(self.kept)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """As written by `state`."""
        self.kept = kept_of(state)


def kept_tensors(kept: Kept | None) -> dict[str, Tensor]:
    """Kept indices as a part of a method's state."""
    return {f"kept/{name}": torch.tensor(indices) for name, indices in (kept or {}).items()}


def kept_of(state: Mapping[str, Tensor]) -> Kept | None:
    """As written by `kept_tensors`; None if there are none."""
    return {name: indices.tolist() for name, indices in part_of(state, "kept").items()} or None


def part_of(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors that a method's state calls `part`/name, by name."""
    return {key.removeprefix(f"{part}/"): tensor for key, tensor in state.items() if key.startswith(f"{part}/")}
