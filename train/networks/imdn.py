"""IMDN (Hui et al., Lightweight Image Super-Resolution with Information Multi-distillation Network, ACM MM 2019)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import FAITHFUL, VALUE_RANGES, Found, State, count, renamed, tail_scale

SLOPE = 0.05  # of every leaky ReLU, in IMDN and in RFDN
_REDUCTION = 16  # channels per channel of the attention's bottleneck


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.05."""
    return F.leaky_relu(x, SLOPE)


class ContrastAttention(nn.Module):
    """Scales every channel by a sigmoid of all channels' contrast (standard deviation + mean over the image)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // _REDUCTION)
        self.conv_du = nn.Sequential(conv1x1(channels, inner), nn.ReLU(), conv1x1(inner, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        contrast = torch.std(x, (2, 3), correction=0, keepdim=True) + x.mean((2, 3), keepdim=True)
        return x * self.conv_du(contrast)


class DistillationBlock(nn.Module):
    """Three times: convolve, keep some channels for the end, pass the rest on. Then fuse and add the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        distilled = channels // 4
        rest = channels - distilled
        self.c1 = conv3x3(channels, channels)
        self.c2 = conv3x3(rest, channels)
        self.c3 = conv3x3(rest, channels)
        self.c4 = conv3x3(rest, distilled)
        self.cca = ContrastAttention(4 * distilled)
        self.c5 = conv1x1(4 * distilled, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        kept, rest = [], x
        for conv, following in ((self.c1, self.c2), (self.c2, self.c3), (self.c3, self.c4)):
            passed_on = following.in_channels
            part, rest = torch.split(leaky_relu(conv(rest)), [conv.out_channels - passed_on, passed_on], dim=1)
            kept.append(part)
        return x + self.c5(self.cca(torch.cat([*kept, self.c4(rest)], 1)))


class JoinedBlocks(SRNetwork):
    """IMDN's trunk: a convolution, blocks whose outputs are all joined, a convolution with a long skip, the upsampling.

    block: gives the blocks' modules, [n, channels, h, w] -> the same. Other keywords are the options of `SRNetwork`.
    Not homogeneous (sigmoids in the blocks), so a network trained on another value range keeps it: `value_range`.
    """

    def __init__(
        self,
        scale: int,
        block: Callable[[], nn.Module],
        *,
        channels: int,
        blocks: int,
        value_range: float,
        **options: int,
    ) -> None:
        super().__init__(scale, channels=channels, blocks=blocks, value_range=value_range, **options)
        self.value_range = value_range
        self.fea_conv = conv3x3(3, channels)
        self.blocks = nn.ModuleList(block() for _ in range(blocks))
        self.c = conv1x1(blocks * channels, channels)
        self.LR_conv = conv3x3(channels, channels)
        self.upsampler = nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]; sides of at least `minimum_size`."""
        shallow = self.fea_conv(x)
        outputs = [shallow]
        for block in self.blocks:
            outputs.append(block(outputs[-1]))
        joined = leaky_relu(self.c(torch.cat(outputs[1:], 1)))
        return self.upsampler(self.LR_conv(joined) + shallow)


class IMDN(JoinedBlocks):
    """Information multi-distillation network: 6 blocks of 64 channels."""

    architecture = "imdn"

    def __init__(self, scale: int, channels: int = 64, blocks: int = 6, value_range: float = 1.0) -> None:
        block = partial(DistillationBlock, channels)
        super().__init__(scale, block, channels=channels, blocks=blocks, value_range=value_range)


def recognise(state: State, _: int | None) -> Found | None:
    """Blocks numbered from 1. Sigmoids: what it makes of an image depends on the range of its values."""
    if "fea_conv.weight" not in state or "IMDB1.c1.weight" not in state:
        return None
    state = from_one(state, "IMDB")
    options = {"channels": len(state["fea_conv.weight"]), "blocks": count(state, r"blocks\.(\d+)\.")}
    return Found(tail_scale(state["upsampler.0.weight"]), state, options, {"value_range": VALUE_RANGES}, FAITHFUL)


def from_one(state: State, block: str) -> State:
    """Blocks that are numbered from 1 as ours, the joining convolution without its sequence."""
    numbers = range(1, count(state, rf"{block}(\d+)\.") + 1)
    rules = {rf"{block}{number}\.": f"blocks.{number - 1}." for number in numbers}
    return renamed(state, rules | {r"c\.0\.": "c."})
