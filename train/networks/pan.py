"""PAN (Zhao et al., Efficient Image Super-Resolution Using Pixel Attention, ECCVW 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import SCALE, VALUE_RANGES, Found, State, count

_SLOPE = 0.2


class PixelAttention(nn.Module):
    """x times a sigmoid of its 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return x * torch.sigmoid(self.conv(x))


class AttendedConv(nn.Module):
    """A convolution times a pixel attention of its input, then another convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.k2 = conv1x1(channels, channels)
        self.k3, self.k4 = (nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return self.k4(self.k3(x) * torch.sigmoid(self.k2(x)))


class SelfCalibratedBlock(nn.Module):
    """x + two branches of half the width, one with pixel attention (SCPA)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1_a, self.conv1_b = (nn.Conv2d(channels, half, 1, bias=False) for _ in range(2))
        self.k1 = nn.Sequential(nn.Conv2d(half, half, 3, 1, 1, bias=False))
        self.PAConv = AttendedConv(half)
        self.conv3 = nn.Conv2d(2 * half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        plain = _leaky_relu(self.k1(_leaky_relu(self.conv1_a(x))))
        attended = _leaky_relu(self.PAConv(_leaky_relu(self.conv1_b(x))))
        return self.conv3(torch.cat([plain, attended], 1)) + x


class PAN(SRNetwork):
    """Self-calibrated blocks, then enlargements with pixel attention; the image itself enlarged (bilinear) added."""

    architecture = "pan"
    value_range = 1.0

    def __init__(
        self, scale: int, channels: int = 40, inner: int = 24, blocks: int = 16, value_range: float = 1.0
    ) -> None:
        super().__init__(scale, channels=channels, inner=inner, blocks=blocks, value_range=value_range)
        self.value_range = value_range
        self.factors = {2: [2], 3: [3], 4: [2, 2]}[scale]
        self.conv_first = conv3x3(3, channels)
        self.SCPA_trunk = nn.Sequential(*(SelfCalibratedBlock(channels) for _ in range(blocks)))
        self.trunk_conv = conv3x3(channels, channels)
        for number in range(1, len(self.factors) + 1):
            setattr(self, f"upconv{number}", conv3x3(channels if number == 1 else inner, inner))
            setattr(self, f"att{number}", PixelAttention(inner))
            setattr(self, f"HRconv{number}", conv3x3(inner, inner))
        self.conv_last = conv3x3(inner, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]."""
        shallow = self.conv_first(x)
        deep = shallow + self.trunk_conv(self.SCPA_trunk(shallow))
        for number, factor in enumerate(self.factors, 1):
            conv, attention, last = (getattr(self, f"{name}{number}") for name in ("upconv", "att", "HRconv"))
            deep = conv(F.interpolate(deep, scale_factor=factor, mode="nearest"))
            deep = _leaky_relu(last(_leaky_relu(attention(deep))))
        return self.conv_last(deep) + F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE)


def recognise(state: State, scale: int | None) -> Found | None:
    """One enlargement is by 2 or by 3: no weight tells."""
    if "SCPA_trunk.0.PAConv.k2.weight" not in state or "upconv1.weight" not in state:
        return None
    inner, channels = state["upconv1.weight"].shape[:2]
    options = {"channels": channels, "inner": inner, "blocks": count(state, r"SCPA_trunk\.(\d+)\.")}
    undecided: dict[str, tuple[float, ...]] = {"value_range": VALUE_RANGES}
    if "upconv2.weight" not in state:
        undecided[SCALE] = (2, 3)
    return Found(4, state, options, undecided)
