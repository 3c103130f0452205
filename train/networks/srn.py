"""SRN-DeblurNet (Tao et al., Scale-recurrent Network for Deep Image Deblurring, CVPR 2018) as SLS prunes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import SRNetwork, conv3x3
from sparsr.train.networks.recognition import Found, State
from sparsr.train.networks.sizes import CropLike, PadToMultiple

_HALF = 2
_REDUCED = 16  # side of the block of pixels that a pixel of the deepest features of the smallest picture stands for


def conv5x5(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """5x5 convolution with bias and zero padding 2."""
    return nn.Conv2d(inputs, outputs, 5, stride, 2)


class WideResBlock(nn.Module):
    """x + conv(relu(conv(x))) with 5x5 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv5x5(channels, channels), nn.ReLU(), conv5x5(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return x + self.body(x)


class SRN(SRNetwork):
    """Scale-recurrent network without its LSTM: one encoder-decoder for a quarter, a half and the whole size.

    It reads the blurred picture at a size beside the result of the size before, enlarged. Three residual blocks with
    5x5 convolutions at each of three widths; what is enlarged inside goes through a 3x3 convolution and a pixel
    shuffle, as in SLS. How pictures are reduced is not published: means over 2x2 pixels here (ours). Pictures whose
    sides are no multiples of 16 are continued by their last row and column and cut again.
    """

    architecture = "srn"
    task = "deblurring"
    value_range = 1.0

    def __init__(self, scale: int, channels: int = 32, blocks: int = 3) -> None:
        super().__init__(scale, channels=channels, blocks=blocks)
        widths = [channels, 2 * channels, 4 * channels]
        self.entry = conv5x5(6, channels)
        self.down = nn.ModuleList(conv5x5(widths[i], widths[i + 1], stride=2) for i in range(2))
        self.encode = nn.ModuleList(nn.Sequential(*(WideResBlock(width) for _ in range(blocks))) for width in widths)
        self.decode = nn.ModuleList(nn.Sequential(*(WideResBlock(width) for _ in range(blocks))) for width in widths)
        self.up = nn.ModuleList(
            nn.Sequential(conv3x3(widths[i + 1], 4 * widths[i]), nn.PixelShuffle(2), nn.ReLU()) for i in range(2)
        )
        self.exit = conv5x5(channels, 3)
        self.relu = nn.ReLU()
        self.pad, self.crop = PadToMultiple(_REDUCED, _REDUCED), CropLike(_REDUCED - 1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 -> [n, 3, h, w]."""
        whole = self.pad(x)
        half = F.avg_pool2d(whole, _HALF)
        quarter = F.avg_pool2d(half, _HALF)
        result = self._deblurred(quarter, quarter)
        for blurred in (half, whole):
            larger = F.interpolate(result, scale_factor=2, mode="bilinear", align_corners=False)
            result = self._deblurred(blurred, larger)
        return self.crop(result, x)

    def _deblurred(self, blurred: Tensor, before: Tensor) -> Tensor:
        """The picture at one size and the result of the size before, [n, 3, h, w] each -> [n, 3, h, w]."""
        fine = self.encode[0](self.relu(self.entry(torch.cat((blurred, before), 1))))
        middle = self.encode[1](self.relu(self.down[0](fine)))
        coarse = self.encode[2](self.relu(self.down[1](middle)))
        middle = self.up[1](self.decode[2](coarse)) + middle
        fine = self.up[0](self.decode[1](middle)) + fine
        return self.exit(self.decode[0](fine))


def recognise(state: State, _: int | None) -> Found | None:
    """SLS's networks were not released, and the authors' own have an LSTM: only our checkpoints have these names."""
    return None
