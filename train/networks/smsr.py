"""SMSR (Wang et al., Exploring Sparsity in Image Super-Resolution for Efficient Inference, CVPR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import MeanShift, SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import Found, State, count, tail_scale
from sparsr.train.networks.sizes import CropLike, PadToEven
from sparsr.train.networks.sparse_masks import LAYERS, SparseMaskBlock

_REDUCTION = 16  # channels per channel of the attention's bottleneck


class MaskNet(nn.Sequential):
    """Predicts per pixel, at half the resolution, whether it is important: logits (unimportant, important)."""

    def __init__(self, channels: int) -> None:
        inner = max(1, channels // 4)
        super().__init__(
            conv3x3(channels, inner),
            nn.ReLU(),
            nn.AvgPool2d(2),
            conv3x3(inner, inner),
            nn.ReLU(),
            nn.ConvTranspose2d(inner, 2, 3, stride=2, padding=1, output_padding=1),
        )


class ChannelAttention(nn.Module):
    """Scales every channel by a sigmoid of all channels' means over the image. In the authors' code, not the paper."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // _REDUCTION)
        self.conv_du = nn.Sequential(conv1x1(channels, inner), nn.ReLU(), conv1x1(inner, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return x * self.conv_du(x.mean((2, 3), keepdim=True))


class DenseBlock(nn.Module):
    """`SparseMaskBlock` without masks: everything is computed everywhere."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(LAYERS)))
        self.collect = nn.Conv2d(LAYERS * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        outputs = []
        for conv in self.body:
            x = F.relu(conv(x))
            outputs.append(x)
        return self.collect(torch.cat(outputs, 1))


class SparseMaskModule(nn.Module):
    """x + attention(block(x)), the block told by a small network where to compute (SMM)."""

    def __init__(self, channels: int, spatial: bool, channel: bool) -> None:
        super().__init__()
        self.spa_mask = MaskNet(channels) if spatial else None
        self.pad, self.crop = PadToEven(), CropLike()
        self.body = SparseMaskBlock(channels, channel) if spatial or channel else DenseBlock(channels)
        self.ca = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        if self.spa_mask is None:
            return self.ca(self.body(x)) + x
        # The mask network halves the map and doubles it again: it needs even sides.
        logits = self.crop(self.spa_mask(self.pad(x)), x)
        return self.ca(self.body(x, logits)) + x


class SMSR(SRNetwork):
    """SMSR: five modules that compute only where masks ask for it, all joined before the tail.

    `spatial` and `channel` switch the two kinds of masks; without both it is the paper's dense baseline.
    """

    architecture = "smsr"

    def __init__(
        self, scale: int, channels: int = 64, blocks: int = 5, spatial: bool = True, channel: bool = True
    ) -> None:
        super().__init__(scale, channels=channels, blocks=blocks, spatial=spatial, channel=channel)
        self.sub_mean = MeanShift(self.value_range, -1)
        self.head = nn.Sequential(conv3x3(3, channels), nn.ReLU(), conv3x3(channels, channels))
        self.body = nn.ModuleList(SparseMaskModule(channels, spatial, channel) for _ in range(blocks))
        self.collect = nn.Sequential(conv1x1(blocks * channels, channels), nn.ReLU(), conv3x3(channels, channels))
        self.tail = nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))
        self.add_mean = MeanShift(self.value_range, +1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..255 -> [n, 3, s*h, s*w]."""
        x = self.sub_mean(x)
        shallow = self.head(x)
        outputs = [shallow]
        for module in self.body:
            outputs.append(module(outputs[-1]))
        deep = self.tail(self.collect(torch.cat(outputs[1:], 1)) + shallow)
        return self.add_mean(deep + F.interpolate(x, scale_factor=self.scale, mode="bicubic", align_corners=False))


def mask_blocks(network: nn.Module) -> list[SparseMaskBlock]:
    """The masked blocks of a network in execution order; none for a network without masks."""
    return [module for module in network.modules() if isinstance(module, SparseMaskBlock)]


def recognise(state: State, _: int | None) -> Found | None:
    """Channel masks."""
    if not any(name.endswith(".ch_mask") for name in state):
        return None
    options = {"channels": len(state["head.0.weight"]), "blocks": count(state, r"body\.(\d+)\.")}
    return Found(tail_scale(state["tail.0.weight"]), state, options)
