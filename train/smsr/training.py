"""SMSR's training: how masks are drawn at a step, and the penalty on their activity (Wang et al., CVPR 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.networks.sparse_masks import Relaxation
from sparsr.train.pruning.method import Method, Phase
from sparsr.train.pruning.settings import PruningSettings


@dataclass(frozen=True)
class SmsrSettings(PruningSettings):
    """Schedules of networks with sparse masks; the published ones, in steps instead of epochs of 1000 steps."""

    start: ClassVar[Literal["trained", "optional", "built"]] = "built"

    sparsity_weight: float = 0.1
    """Weight of the masks' mean activity beside an L1 loss in units of 0..255, once warmed up; the paper's lambda_0."""
    warm_up_steps: int = 50_000
    """The weight rises from 0 over these steps."""
    cool_down_steps: int = 500_000
    """The temperature falls from 1 with the slope that would take it to 0 over these steps ..."""
    least_temperature: float = 0.4
    """... but not below this. (The authors' released code never lowers it: 1.0.)"""
    channel_logits: Literal["uniform", "normal"] = "uniform"
    """What the channel masks' logits start from: uniform in 0..1 as in the released code, or standard normal as the
    paper says."""

    def check(self) -> None:
        """Raises `SparsrError` for a schedule that cannot be."""
        for name in ("cool_down_steps", "least_temperature"):
            if getattr(self, name) <= 0:
                raise SparsrError(f"prune.{name} is {getattr(self, name)}, it must be above 0")


def temperature(settings: SmsrSettings, step: int) -> float:
    """Temperature of the Gumbel softmax at the 1-based `step`."""
    return max(1 - (step - 1) / settings.cool_down_steps, settings.least_temperature)


def sparsity_weight(settings: SmsrSettings, step: int) -> float:
    """Weight of the activity at the 1-based `step`."""
    warm = step > settings.warm_up_steps
    return settings.sparsity_weight * (1.0 if warm else (step - 1) / settings.warm_up_steps)


class Smsr(Method):
    """One phase, in which the masks are learned together with the weights."""

    def __init__(self, settings: SmsrSettings, seed: int = 1, rank: int = 0, world: int = 1) -> None:
        self.settings = settings
        self._seed, self._rank, self._world = seed, rank, world

    def fine_tuning(self, steps: int, rate: Callable[[int], float]) -> Phase:
        """Training with relaxed masks."""
        return Phase("train", steps, rate, self._begin, self._penalty, before_forward=self._relax)

    def _begin(self, network: SRNetwork) -> SRNetwork:
        blocks = mask_blocks(network)
        if not blocks:
            raise SparsrError(
                "the network has no sparse masks to learn",
                "--set network.architecture=smsr with spatial or channel masks, or leave out the [prune] table",
            )
        if self.settings.channel_logits == "normal":
            with torch.no_grad():
                for block in blocks:
                    if block.ch_mask is not None:
                        block.ch_mask.normal_()
        return network

    def _relax(self, network: SRNetwork, step: int) -> None:
        """Set how every masked block draws its masks in this step's forward pass."""
        for index, block in enumerate(mask_blocks(network)):
            draw = (self._seed, step, index)
            block.relaxation = Relaxation(temperature(self.settings, step), draw, self._rank, self._world)

    def _penalty(self, network: SRNetwork, step: int) -> Tensor:
        """The weighted mean activity of all masks in the last forward pass.

        The blocks then let go of the pass's graph, so that they can be copied.
        """
        blocks = mask_blocks(network)
        penalty = sparsity_weight(self.settings, step) * torch.stack([block.activity for block in blocks]).mean()
        for block in blocks:
            block.activity = block.activity.detach()
        return penalty
