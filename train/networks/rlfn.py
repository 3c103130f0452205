"""RLFN (Kong et al., Residual Local Feature Network for Efficient Super-Resolution, CVPRW 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.imdn import leaky_relu
from sparsr.train.networks.recognition import VALUE_RANGES, Found, State, count, tail_scale
from sparsr.train.networks.span import from_zero


class ShortSpatialAttention(nn.Module):
    """RFDN's spatial attention with one convolution in place of three after the pooling."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.conv1 = conv1x1(channels, inner)
        self.conv_f = conv1x1(inner, inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2)
        self.conv3 = conv3x3(inner, inner)
        self.conv4 = conv1x1(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]; sides of at least 15."""
        narrow = self.conv1(x)
        wide = self.conv3(F.max_pool2d(self.conv2(narrow), 7, 3))
        wide = F.interpolate(wide, size=x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(wide + self.conv_f(narrow)))


class ResidualLocalBlock(nn.Module):
    """x + three activated convolutions, then a 1x1 convolution and attention."""

    def __init__(self, channels: int, attention: int) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (conv3x3(channels, channels) for _ in range(3))
        self.c5 = conv1x1(channels, channels)
        self.esa = ShortSpatialAttention(channels, attention)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        deep = leaky_relu(self.c3_r(leaky_relu(self.c2_r(leaky_relu(self.c1_r(x))))))
        return self.esa(self.c5(deep + x))


class RLFN(SRNetwork):
    """Residual local feature network: blocks one after the other with a long skip.

    `attention` is the attention's inner width. Not homogeneous (sigmoid): `value_range` is that of training.
    """

    architecture = "rlfn"
    minimum_size = 15  # a 3x3 convolution of stride 2, then a 7x7 window

    def __init__(
        self, scale: int, channels: int = 52, blocks: int = 6, attention: int = 16, value_range: float = 255.0
    ) -> None:
        super().__init__(scale, channels=channels, blocks=blocks, attention=attention, value_range=value_range)
        self.value_range = value_range
        self.conv_1 = conv3x3(3, channels)
        self.blocks = nn.Sequential(*(ResidualLocalBlock(channels, attention) for _ in range(blocks)))
        self.conv_2 = conv3x3(channels, channels)
        self.upsampler = nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]; sides of at least 15."""
        shallow = self.conv_1(x)
        return self.upsampler(self.conv_2(self.blocks(shallow)) + shallow)


def recognise(state: State, _: int | None) -> Found | None:
    """Blocks numbered from 1 with attention. The published files are for 0..255, others train it on 0..1."""
    if "block_1.esa.conv1.weight" not in state or "block_1.c5.weight" not in state:
        return None
    options = {
        "channels": len(state["conv_1.weight"]),
        "blocks": count(state, r"block_(\d+)\."),
        "attention": len(state["block_1.esa.conv1.weight"]),
    }
    return Found(tail_scale(state["upsampler.0.weight"]), from_zero(state), options, {"value_range": VALUE_RANGES})
