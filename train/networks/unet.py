"""UNet (Ronneberger et al., MICCAI 2015) with residual blocks, as deblurring uses it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import ResBlock, SRNetwork, conv3x3
from sparsr.train.networks.recognition import Found, State
from sparsr.train.networks.sizes import CropLike

_FIRST_SHARE = 0.1  # of a usual exit's weights: training starts near the picture itself


class UNet(SRNetwork):
    """A residual U: three sizes, `blocks` residual blocks at each on the way down and up, skips added.

    The result is the picture plus what is found. SLS prunes a residual UNet of 6.79 M parameters and 458 G
    multiply-adds whose layout is not published; this one is ours.
    """

    architecture = "unet"
    task = "deblurring"
    value_range = 1.0

    def __init__(self, scale: int, channels: int = 64, blocks: int = 1) -> None:
        super().__init__(scale, channels=channels, blocks=blocks)
        widths = [channels, 2 * channels, 4 * channels]
        self.entry = conv3x3(3, channels)
        self.down = nn.ModuleList(conv3x3(widths[i], widths[i + 1], stride=2) for i in range(2))
        self.encode = nn.ModuleList(nn.Sequential(*(ResBlock(width) for _ in range(blocks))) for width in widths)
        self.decode = nn.ModuleList(nn.Sequential(*(ResBlock(width) for _ in range(blocks))) for width in widths)
        self.up = nn.ModuleList(
            nn.Sequential(conv3x3(widths[i + 1], 4 * widths[i]), nn.PixelShuffle(2)) for i in range(2)
        )
        self.exit = conv3x3(channels, 3)
        with torch.no_grad():
            self.exit.weight.mul_(_FIRST_SHARE)
        self.crop = CropLike()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 -> [n, 3, h, w]."""
        fine = self.encode[0](F.relu(self.entry(x)))
        middle = self.encode[1](F.relu(self.down[0](fine)))
        coarse = self.encode[2](F.relu(self.down[1](middle)))
        middle = self.crop(self.up[1](self.decode[2](coarse)), middle) + middle
        fine = self.crop(self.up[0](self.decode[1](middle)), fine) + fine
        return x + self.exit(self.decode[0](fine))


def recognise(state: State, _: int | None) -> Found | None:
    """SLS's UNet was not released: only our checkpoints have these names."""
    return None
