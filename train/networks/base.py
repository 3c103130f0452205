"""What every restoration network has in common, and the blocks several of them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, in 0..1; the EDSR framework's constant
LUMA = (0.299, 0.587, 0.114)  # BT.601, full range

Task = Literal["super_resolution", "deblurring", "denoising", "restoration"]
TASKS: tuple[Task, ...] = get_args(Task)


class SRNetwork(nn.Module):
    """Base class. `forward` takes [batch, 3, h, w] RGB in 0..`value_range` and returns [batch, 3, s*h, s*w], unclipped.

    `forward` must not hard-code channel counts: a slimmed network is the same module tree with smaller
    convolutions (see `widths.py`).
    """

    architecture: str
    task: Task = "super_resolution"
    """What it is for; of an instance of scale 1 `restoration` unless its class or its recipe says more."""
    value_range: float = 255.0
    minimum_size: int = 1

    def __init__(self, scale: int, **options: Any) -> None:
        super().__init__()
        self.scale = scale
        if scale == 1 and self.task == "super_resolution":
            self.task = "restoration"
        self.options = options
        """Keyword arguments the network was built with, for its card."""


def conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """3x3 convolution with bias and zero padding 1."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups)


def conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """1x1 convolution with bias."""
    return nn.Conv2d(inputs, outputs, 1)


class ColourMap(nn.Conv2d):
    """Maps colours to colours by a fixed matrix [out, in] and offset [out]: a frozen 1x1 convolution."""

    def __init__(self, matrix: Sequence[Sequence[float]], offset: Sequence[float]) -> None:
        super().__init__(len(matrix[0]), len(matrix), 1)
        self.matrix, self.offset = matrix, offset
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(self.constants()[name])
        self.requires_grad_(False)

    def constants(self) -> dict[str, Tensor]:
        """Weight and bias as built, also of a module without memory behind it."""
        with torch.device("cpu"):
            return {"weight": torch.tensor(self.matrix)[:, :, None, None], "bias": torch.tensor(self.offset)}


class MeanShift(ColourMap):
    """Adds `sign` times the data set's mean colour, then multiplies by `factor` (EDSR's MeanShift; SPAN's input)."""

    def __init__(self, value_range: float, sign: int, factor: float = 1.0) -> None:
        matrix = [[factor if row == column else 0.0 for column in range(3)] for row in range(3)]
        super().__init__(matrix, [factor * sign * value_range * mean for mean in RGB_MEAN])


class ChannelAffine(nn.Module):
    """factor * x + offset with a factor and an offset for every channel, or one for all, which do not learn."""

    factor: Tensor
    offset: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(channels))
        self.register_buffer("offset", torch.zeros(channels))

    @property
    def uniform(self) -> bool:
        """Whether one factor and one offset serve all channels, however many there are."""
        return len(self.factor) == 1

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same."""
        return x * self.factor[:, None, None] + self.offset[:, None, None]


class LumaNetwork(SRNetwork):
    """Base of networks that are published for luma as well as for RGB; `restore` is the network itself.

    With `colours` 1 it runs on Y (BT.601, full range) and the colour differences are enlarged bicubically, as its users
    do: RGB' = bicubic(RGB - Y) + restore(Y).
    """

    def __init__(self, scale: int, colours: int, **options: Any) -> None:
        super().__init__(scale, colours=colours, **options)
        self.colours = colours
        if colours == 1:
            self.to_luma = ColourMap([LUMA], [0.0])
            self.to_difference = ColourMap([[float(i == j) - LUMA[j] for j in range(3)] for i in range(3)], [0.0] * 3)
            self.to_grey = ColourMap([[1.0]] * 3, [0.0] * 3)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]."""
        if self.colours == 3:
            return self.restore(x)
        difference = self.to_difference(x)
        if self.scale > 1:
            difference = F.interpolate(difference, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return self.to_grey(self.restore(self.to_luma(x))) + difference

    def restore(self, x: Tensor) -> Tensor:
        """[n, colours, h, w] in 0..value_range -> [n, colours, s*h, s*w]."""
        raise NotImplementedError


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
