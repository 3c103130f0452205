"""EFDN (Wang, Edge-enhanced Feature Distillation Network for Efficient Super-Resolution, CVPRW 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparsr.train.networks.base import SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import VALUE_RANGES, Found, MisfitError, State, tail_scale
from sparsr.train.networks.rfdn import SpatialAttention


class _Activated(nn.Module):
    """A convolution and a slope per channel for its negative values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = nn.PReLU(channels)


class ActivatedConv1x1(_Activated):
    """1x1 convolution, PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.conv1x1 = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return self.act(self.conv1x1(x))


class ActivatedConv3x3(_Activated):
    """3x3 convolution (in training a sum of edge-enhancing branches), PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.rep_conv = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return self.act(self.rep_conv(x))


class Cell(nn.Module):
    """x + attention over three convolutions' results and the input, half of each's channels joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ActivatedConv1x1(channels)
        self.conv2, self.conv3 = ActivatedConv3x3(channels), ActivatedConv3x3(channels)
        self.branch = nn.ModuleList(conv1x1(channels, channels // 2) for _ in range(4))
        self.fuse = conv1x1(4 * (channels // 2), channels)
        self.att = SpatialAttention(channels, max(1, channels // 4))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]; sides of at least 15."""
        maps = [x]
        for conv in (self.conv1, self.conv2, self.conv3):
            maps.append(conv(maps[-1]))
        halves = [branch(kept) for branch, kept in zip(self.branch, maps, strict=True)]
        return self.att(self.fuse(torch.cat(halves, 1))) + x


class EFDN(SRNetwork):
    """Four cells, three of whose results are fused with an earlier one. The result is clipped to the range."""

    architecture = "efdn"
    value_range = 1.0
    minimum_size = 15  # as RFDN's

    def __init__(self, scale: int, channels: int = 48, value_range: float = 1.0) -> None:
        super().__init__(scale, channels=channels, value_range=value_range)
        self.value_range = value_range
        self.head = conv3x3(3, channels)
        self.cells = nn.ModuleList(Cell(channels) for _ in range(4))
        self.local_fuse = nn.ModuleList(conv1x1(2 * channels, channels) for _ in range(3))
        self.tail = nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]; sides of at least 15."""
        shallow = self.head(x)
        first = self.cells[0](shallow)
        second = self.cells[1](first)
        third = self.cells[2](self.local_fuse[0](torch.cat([first, second], 1)))
        fourth = self.cells[3](self.local_fuse[1](torch.cat([second, third], 1)))
        deep = self.local_fuse[2](torch.cat([second, fourth], 1))
        return torch.clamp(self.tail(deep + shallow), 0, self.value_range)


def recognise(state: State, _: int | None) -> Found | None:
    """Cells of activated convolutions."""
    if "cells.0.conv2.rep_conv.weight" not in state:
        return None
    if any(".conv1x1_sbx." in name for name in state):
        raise MisfitError(
            "is an EFDN in its training form, and which of its branches count stands in no weight",
            "save it after the authors' switch_to_deploy()",
        )
    return Found(
        tail_scale(state["tail.0.weight"]),
        state,
        {"channels": len(state["head.weight"])},
        {"value_range": VALUE_RANGES},
    )
