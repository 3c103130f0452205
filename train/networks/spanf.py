"""SPANF (NTIRE 2025 challenge on efficient super-resolution): SPAN with the enlarged image among the joined maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import VALUE_RANGES, Found, State, count, tail_scale
from sparsr.train.networks.span import ParameterFreeBlock, collapsed, from_zero


class SPANF(SRNetwork):
    """The image as channels (3x3 convolution per colour), the first block's and the last block's maps, joined.

    The first block reads the image and has no attention.
    """

    architecture = "spanf"
    value_range = 1.0

    def __init__(self, scale: int, channels: int = 32, blocks: int = 5, value_range: float = 1.0) -> None:
        super().__init__(scale, channels=channels, blocks=blocks, value_range=value_range)
        self.value_range = value_range
        sub_pixels = 3 * scale**2
        self.conv_near = nn.Conv2d(3, sub_pixels, 3, 1, 1, groups=3, bias=False)
        self.blocks = nn.ModuleList(ParameterFreeBlock(channels if n else 3, channels) for n in range(blocks))
        self.conv_cat = conv1x1(2 * channels + sub_pixels, channels)
        self.conv_2 = conv3x3(channels, sub_pixels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]."""
        outputs = [x]
        for block in self.blocks:
            deep, _ = block(outputs[-1])
            outputs.append(deep)
        joined = self.conv_cat(torch.cat([self.conv_near(x), outputs[-1], outputs[1]], 1))
        return F.pixel_shuffle(self.conv_2(joined), self.scale)


def recognise(state: State, _: int | None) -> Found | None:
    """SPAN's blocks beside `conv_near`."""
    state = collapsed(state)
    if "conv_near.weight" not in state or "block_1.c1_r.weight" not in state:
        return None
    options = {"channels": len(state["block_1.c1_r.weight"]), "blocks": count(state, r"block_(\d+)\.")}
    return Found(tail_scale(state["conv_2.weight"]), from_zero(state), options, {"value_range": VALUE_RANGES})
