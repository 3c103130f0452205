"""Self-distillation: the network being pruned learns from what it was before (ours; off in recipes of papers).

The target is the dense network's own output, so neither HR nor the degradation it was trained with is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sparsr.train.networks import SRNetwork

_DETAIL = 0.05
"""Weight of detail beside SSIM: more sharpens beyond the dense network (docs/results/own-network.md)."""


def as_teacher(network: SRNetwork) -> SRNetwork:
    """`network`, in eval mode and without gradients for good; in place."""
    return network.eval().requires_grad_(False)


@torch.no_grad()
def output_of(teacher: SRNetwork, lr: Tensor) -> Tensor:
    """[n, 3, h, w] in 0..255 -> [n, 3, s*h, s*w] in units of 0..255, unclipped, in float32."""
    unit = teacher.value_range / 255
    return teacher((lr.float() * unit).contiguous(memory_format=torch.channels_last)) / unit


def loss(
    output: Tensor, lr: Tensor, hr: Tensor | None, teacher: SRNetwork, share: float, perceptual: float = 0.0
) -> Tensor:
    """share * difference to the teacher's output + (1 - share) * L1 to HR; output, lr and hr in units of 0..255.

    The difference is (1 - perceptual) * L1 + perceptual * 255 * (1 - SSIM + 0.05 * `detail_missed`), meant for
    generators that were trained to look right. L1 with SSIM is what Zhao et al. (Loss Functions for Image Restoration
    with Neural Networks, 2017) mix, at one scale and without their window on L1. Both are least for a mean or median
    of what a smaller network cannot tell apart, which is blurred; the third term, ours, is not. HR may be None only
    where its share is 0.
    """
    total = output.new_zeros(())
    if share:
        target = output_of(teacher, lr)
        total = (1 - perceptual) * F.l1_loss(output, target)
        if perceptual:
            unlike = 1 - similarity(output, target) + _DETAIL * detail_missed(output, target)
            total = total + perceptual * 255 * unlike
        total = share * total
    if share < 1:
        assert hr is not None
        total = total + (1 - share) * F.l1_loss(output, hr)
    return total


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM (Wang et al., 2004) of [n, 3, h, w] in units of 0..255, colour by colour, Gaussian of sigma 1.5."""
    from torchmetrics.functional.image import structural_similarity_index_measure  # a second to import

    value = structural_similarity_index_measure(a, b, data_range=255.0)
    assert isinstance(value, Tensor)
    return value


def detail_missed(a: Tensor, b: Tensor) -> Tensor:
    """How far the total variation of pictures a is off that of b, [n, 3, h, w], as a share of that of all b.

    Not as a share of each picture's own, which is nearly nothing in flat parts of drawings.
    """
    from torchmetrics.functional.image import total_variation

    found, wanted = (total_variation(pictures, reduction="none") for pictures in (a, b))
    return (found - wanted).abs().sum() / wanted.sum().clamp(min=1.0)
