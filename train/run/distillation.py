"""Self-distillation: the network being pruned learns from what it was before (ours; off in recipes of papers).

The target is the dense network's own output, so neither HR nor the degradation it was trained with is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sparsr.train.networks import SRNetwork


def as_teacher(network: SRNetwork) -> SRNetwork:
    """`network`, in eval mode and without gradients for good; in place."""
    return network.eval().requires_grad_(False)


@torch.no_grad()
def output_of(teacher: SRNetwork, lr: Tensor) -> Tensor:
    """[n, 3, h, w] in 0..255 -> [n, 3, s*h, s*w] in units of 0..255, unclipped, in float32."""
    unit = teacher.value_range / 255
    return teacher((lr.float() * unit).contiguous(memory_format=torch.channels_last)) / unit


def loss(output: Tensor, lr: Tensor, hr: Tensor | None, teacher: SRNetwork, share: float) -> Tensor:
    """share * L1 to the teacher's output + (1 - share) * L1 to HR; output, lr and hr in units of 0..255.

    HR may be None only where its share is 0.
    """
    total = share * F.l1_loss(output, output_of(teacher, lr)) if share else output.new_zeros(())
    if share < 1:
        assert hr is not None
        total = total + (1 - share) * F.l1_loss(output, hr)
    return total
