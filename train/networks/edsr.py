"""EDSR-baseline (Lim et al., CVPRW 2017) and LEDSR (Zhang et al., ASSL, NeurIPS 2021): its light-tailed sibling."""

from __future__ import annotations

from torch import Tensor, nn

from sparsr.train.networks.base import MeanShift, ResBlock, SRNetwork, conv3x3, upsampler


class _ResidualNetwork(SRNetwork):
    """sub_mean -> head -> residual body with a long skip -> tail -> add_mean."""

    def __init__(self, scale: int, channels: int, blocks: int, tail: nn.Sequential) -> None:
        super().__init__(scale, channels=channels, blocks=blocks)
        self.sub_mean = MeanShift(self.value_range, -1)
        self.head = nn.Sequential(conv3x3(3, channels))
        self.body = nn.Sequential(*(ResBlock(channels) for _ in range(blocks)), conv3x3(channels, channels))
        self.tail = tail
        self.add_mean = MeanShift(self.value_range, +1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..255 -> [n, 3, s*h, s*w]."""
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(x + self.body(x)))


class EDSR(_ResidualNetwork):
    """EDSR-baseline: 16 blocks of 64 channels and an upsampler at the stream's width."""

    architecture = "edsr"

    def __init__(self, scale: int, channels: int = 64, blocks: int = 16) -> None:
        tail = nn.Sequential(nn.Sequential(*upsampler(scale, channels)), conv3x3(channels, 3))
        super().__init__(scale, channels, blocks, tail)


class LEDSR(_ResidualNetwork):
    """LEDSR: EDSR-baseline with one convolution to 3 s^2 channels and a pixel shuffle as its whole tail.

    256 channels before pruning; after it (ASSLN) 48 or 49.
    """

    architecture = "ledsr"

    def __init__(self, scale: int, channels: int = 256, blocks: int = 16) -> None:
        tail = nn.Sequential(nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale)))
        super().__init__(scale, channels, blocks, tail)
