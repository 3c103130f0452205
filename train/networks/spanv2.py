"""SPANV2 (NTIRE 2026 challenge on efficient super-resolution, reported winner)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import SRNetwork, conv1x1
from sparsr.train.networks.recognition import VALUE_RANGES, Found, State, count, renamed, tail_scale
from sparsr.train.networks.span import from_zero


class GatedBlock(nn.Module):
    """Three convolutions without bias, their result plus the input times a 1x1 convolution of the result.

    A block whose input has another width has a ReLU in place of the gate.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = (_conv3x3(n, channels) for n in (inputs, channels, channels))
        self.gate = conv1x1(channels, channels) if inputs == channels else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        deep = self.c3(F.relu(self.c2(F.relu(self.c1(x)))))
        return F.relu(deep) if self.gate is None else (x + deep) * self.gate(deep)


class SPANV2(SRNetwork):
    """Gated blocks; their result and the image as channels go through a depthwise and a 1x1 convolution."""

    architecture = "spanv2"
    value_range = 1.0

    def __init__(self, scale: int, channels: int = 32, blocks: int = 5, value_range: float = 1.0) -> None:
        super().__init__(scale, channels=channels, blocks=blocks, value_range=value_range)
        self.value_range = value_range
        sub_pixels = 3 * scale**2
        self.conv_near = nn.Conv2d(3, sub_pixels, 3, 1, 1, groups=3, bias=False)
        self.blocks = nn.Sequential(*(GatedBlock(channels if n else 3, channels) for n in range(blocks)))
        joined = sub_pixels + channels
        self.depthwise_conv = nn.Conv2d(joined, joined, 3, 1, 1, groups=joined, bias=False)
        self.pointwise_conv = nn.Conv2d(joined, sub_pixels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]."""
        joined = torch.cat([self.conv_near(x), self.blocks(x)], 1)
        return F.pixel_shuffle(self.pointwise_conv(self.depthwise_conv(joined)), self.scale)


def _conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)


def recognise(state: State, _: int | None) -> Found | None:
    """Blocks numbered from 1 with gates."""
    if "conv_near.weight" not in state or "block_2.guidance_map_conv.weight" not in state:
        return None
    options = {"channels": len(state["block_1.c1.conv.weight"]), "blocks": count(state, r"block_(\d+)\.")}
    state = renamed(
        from_zero(state), {r"(blocks\.\d+\.c\d)\.conv\.": r"\1.", r"(.+)\.guidance_map_conv\.": r"\1.gate."}
    )
    return Found(tail_scale(state["pointwise_conv.weight"]), state, options, {"value_range": VALUE_RANGES})
