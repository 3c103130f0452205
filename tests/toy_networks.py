"""Tiny networks, each with one structure that pruning and export must understand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsr.train.networks import SRNetwork
from sparsr.train.networks.base import ResBlock, conv1x1, conv3x3


class Toy(SRNetwork):
    """head, something given by `forward` and the layers passed, tail."""

    architecture = "toy"

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__(1)
        self.head, self.tail = conv3x3(3, 8), conv3x3(8, 3)
        for name, layer in layers.items():
            setattr(self, name, layer)


class Shared(Toy):
    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return self.tail(self.block(self.block(x)))


class Split(Toy):
    def forward(self, x: Tensor) -> Tensor:
        rest = self.more.in_channels
        distilled, rest = torch.split(self.head(x), [self.head.out_channels - rest, rest], dim=1)
        return self.tail(torch.cat([self.more(rest), distilled], dim=1))


class Slice(Split):
    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        rest = self.more.in_channels
        return self.tail(torch.cat([self.more(x[:, -rest:]), x[:, : x.shape[1] - rest]], dim=1))


class Attention(Toy):
    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        pooled = x.mean((2, 3), keepdim=True) + torch.std(x, (2, 3), correction=0, keepdim=True)
        return self.tail(x * torch.sigmoid(self.up(torch.relu(self.down(pooled)))))


class Grouped(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.second(torch.relu(self.first(self.head(x)))))


class UnequalParts(Toy):
    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return self.tail(self.mix(torch.cat([self.a(x), self.b(x)], dim=1)))


class Gate(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return self.tail(torch.sigmoid(self.head(x)))


class Unknown(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.inner(self.head(x)))


class Tangent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.arctan(x)


class Branching(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.head(x)) if x.sum() > 0 else x


class Spatial(Toy):
    """RFDN's attention: strided, pooled, resized back; and its 0..1 range."""

    value_range = 1.0
    minimum_size = 15

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        reduced = self.reduce(x)
        pooled = F.max_pool2d(self.stride(reduced), kernel_size=7, stride=3)
        pooled = F.interpolate(F.relu(self.inner(pooled)), x.shape[2:], mode="bilinear", align_corners=False)
        return self.tail(F.leaky_relu(x * torch.sigmoid(self.expand(pooled + reduced)), 0.05, inplace=True))


def every_toy() -> dict[str, Toy]:
    """One network per structure, randomly initialised."""
    return {
        "shared conv": Shared(block=conv3x3(8, 8)),
        "shared block": Shared(block=ResBlock(8, 5)),
        "split": Split(more=conv3x3(5, 5)),
        "slice": Slice(more=conv3x3(5, 5)),
        "attention": Attention(down=conv1x1(8, 2), up=conv1x1(2, 8)),
        "grouped": Grouped(first=conv3x3(8, 8, groups=2), second=conv3x3(8, 8, groups=4)),
        "spatial": Spatial(
            reduce=conv1x1(8, 3), stride=nn.Conv2d(3, 3, 3, 2), inner=conv3x3(3, 3), expand=conv1x1(3, 8)
        ),
    }
