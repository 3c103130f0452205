"""What every super-resolution network has in common, and the blocks several of them share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, in 0..1; the EDSR framework's constant


class SRNetwork(nn.Module):
    """Base class. `forward` takes [batch, 3, h, w] RGB in 0..`value_range` and returns [batch, 3, s*h, s*w], unclipped.

    `forward` must not hard-code channel counts: a slimmed network is the same module tree with smaller
    convolutions (see `widths.py`).
    """

    architecture: str
    value_range: float = 255.0
    minimum_size: int = 1

    def __init__(self, scale: int, **options: Any) -> None:
        super().__init__()
        self.scale = scale
        self.options = options
        """Keyword arguments the network was built with, for its card."""


def conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """3x3 convolution with bias and zero padding 1."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups)


def conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """1x1 convolution with bias."""
    return nn.Conv2d(inputs, outputs, 1)


class MeanShift(nn.Conv2d):
    """Adds `sign` times the data set's mean colour as a frozen 1x1 convolution (methods: EDSR's MeanShift)."""

    def __init__(self, value_range: float, sign: int) -> None:
        super().__init__(3, 3, 1)
        with torch.no_grad():
            self.weight.copy_(torch.eye(3)[:, :, None, None])
            assert self.bias is not None
            self.bias.copy_(sign * value_range * torch.tensor(RGB_MEAN))
        self.requires_grad_(False)


class ResBlock(nn.Module):
    """x + conv(relu(conv(x))): EDSR's residual block with res_scale 1. `inner` is the width between the convs."""

    def __init__(self, channels: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or channels
        self.body = nn.Sequential(conv3x3(channels, inner), nn.ReLU(inplace=True), conv3x3(inner, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return x + self.body(x)


def upsampler(scale: int, channels: int) -> list[nn.Module]:
    """EDSR's upsampler: log2(scale) times (conv to 4c, shuffle 2), or once (conv to 9c, shuffle 3)."""
    layers: list[nn.Module] = []
    for factor in {2: [2], 3: [3], 4: [2, 2]}[scale]:
        layers += [conv3x3(channels, channels * factor**2), nn.PixelShuffle(factor)]
    return layers
