"""Training of sparse masks: how they are drawn at a step, and the penalty on their activity (SMSR)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sparsr.train.networks import SRNetwork
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.networks.sparse_masks import Relaxation


@dataclass(frozen=True)
class MaskSettings:
    """Schedules of networks with sparse masks; the published ones, in steps instead of epochs of 1000 steps."""

    sparsity_weight: float = 0.1
    """Weight of the masks' mean activity beside an L1 loss in units of 0..255, once warmed up; the paper's lambda_0."""
    warm_up_steps: int = 50_000
    """The weight rises from 0 over these steps."""
    cool_down_steps: int = 500_000
    """The temperature falls from 1 with the slope that would take it to 0 over these steps ..."""
    least_temperature: float = 0.4
    """... but not below this. (The authors' released code never lowers it.)"""


def temperature(settings: MaskSettings, step: int) -> float:
    """Temperature of the Gumbel softmax at the 1-based `step`."""
    return max(1 - (step - 1) / settings.cool_down_steps, settings.least_temperature)


def sparsity_weight(settings: MaskSettings, step: int) -> float:
    """Weight of the activity at the 1-based `step`."""
    warm = step > settings.warm_up_steps
    return settings.sparsity_weight * (1.0 if warm else (step - 1) / settings.warm_up_steps)


def relax_masks(network: SRNetwork, settings: MaskSettings, seed: int, step: int, rank: int, world: int) -> None:
    """Set how every masked block draws its masks in this step's forward pass."""
    for index, block in enumerate(mask_blocks(network)):
        block.relaxation = Relaxation(temperature(settings, step), (seed, step, index), rank, world)


def sparsity_penalty(network: SRNetwork, settings: MaskSettings, step: int) -> Tensor:
    """The weighted mean activity of all masks in the last forward pass; 0 for a network without masks.

    To be taken once per forward pass: the blocks then let go of the pass's graph, so that they can be copied.
    """
    blocks = mask_blocks(network)
    if not blocks:
        return torch.zeros((), device=next(network.parameters()).device)
    penalty = sparsity_weight(settings, step) * torch.stack([block.activity for block in blocks]).mean()
    for block in blocks:
        block.activity = block.activity.detach()
    return penalty
