"""RFDN (Liu et al., Residual Feature Distillation Network for Lightweight Image Super-Resolution, ECCVW 2020)."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import conv1x1, conv3x3
from sparsr.train.networks.imdn import JoinedBlocks, from_one, leaky_relu
from sparsr.train.networks.recognition import FAITHFUL, VALUE_RANGES, Found, State, count, tail_scale


class SpatialAttention(nn.Module):
    """ESA: scales every pixel by a sigmoid of what a small network sees around it at a sixth of the resolution."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.conv1 = conv1x1(channels, inner)
        self.conv_f = conv1x1(inner, inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2)
        self.conv_max = conv3x3(inner, inner)
        self.conv3 = conv3x3(inner, inner)
        self.conv3_ = conv3x3(inner, inner)
        self.conv4 = conv1x1(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]; sides of at least 15."""
        narrow = self.conv1(x)
        wide = F.max_pool2d(self.conv2(narrow), 7, 3)
        wide = self.conv3_(F.relu(self.conv3(F.relu(self.conv_max(wide)))))
        wide = F.interpolate(wide, size=x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(wide + self.conv_f(narrow)))


class ResidualDistillationBlock(nn.Module):
    """Three times: distil by a 1x1 convolution, refine by a 3x3 one, skipped if `residual`. Then fuse and attend."""

    def __init__(self, channels: int, attention: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        distilled = channels // 2
        self.c1_d, self.c1_r = conv1x1(channels, distilled), conv3x3(channels, channels)
        self.c2_d, self.c2_r = conv1x1(channels, distilled), conv3x3(channels, channels)
        self.c3_d, self.c3_r = conv1x1(channels, distilled), conv3x3(channels, channels)
        self.c4 = conv3x3(channels, distilled)
        self.c5 = conv1x1(4 * distilled, channels)
        self.esa = SpatialAttention(channels, attention)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        kept = []
        for distil, refine in ((self.c1_d, self.c1_r), (self.c2_d, self.c2_r), (self.c3_d, self.c3_r)):
            kept.append(leaky_relu(distil(x)))
            x = leaky_relu(refine(x) + x if self.residual else refine(x))
        kept.append(leaky_relu(self.c4(x)))
        return self.esa(self.c5(torch.cat(kept, 1)))


class RFDN(JoinedBlocks):
    """Residual feature distillation network: 4 blocks of 50 channels with spatial attention.

    `attention` is the attention's inner width, by default a quarter of `channels`. `residual`: the refining
    convolutions have skips, as published; pruned descendants of RFDN leave them out under the same names.
    """

    architecture = "rfdn"
    minimum_size = 15  # a 3x3 convolution of stride 2, then a 7x7 window

    def __init__(
        self,
        scale: int,
        channels: int = 50,
        blocks: int = 4,
        attention: int = 0,
        value_range: float = 255.0,
        residual: bool = True,
    ) -> None:
        attention = attention or max(1, channels // 4)
        block = partial(ResidualDistillationBlock, channels, attention, residual)
        options = {"attention": attention, "residual": residual}
        super().__init__(scale, block, channels=channels, blocks=blocks, value_range=value_range, **options)


def recognise(state: State, _: int | None) -> Found | None:
    """IMDN's trunk with blocks of another kind; whether their convolutions are skipped stands in no weight."""
    if "fea_conv.weight" not in state or "B1.c1_r.weight" not in state:
        return None
    state = from_one(state, "B")
    options = {
        "channels": len(state["fea_conv.weight"]),
        "blocks": count(state, r"blocks\.(\d+)\."),
        "attention": len(state["blocks.0.esa.conv1.weight"]),
    }
    undecided: dict[str, tuple[Any, ...]] = {"value_range": VALUE_RANGES}
    undecided["residual"] = (True, False) if _can_add(state) else (False,)
    return Found(tail_scale(state["upsampler.0.weight"]), state, options, undecided, FAITHFUL)


def _can_add(state: State) -> bool:
    """Whether every refining convolution gives as many channels as it takes."""
    refining = [weight.shape for name, weight in state.items() if re.search(r"\.c[123]_r\.weight$", name)]
    return all(outputs == inputs for outputs, inputs, *_ in refining)
