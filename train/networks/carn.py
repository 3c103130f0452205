"""CARN and CARN-M (Ahn et al., Fast, Accurate, and Lightweight SR with Cascading Residual Network, ECCV 2018)."""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import MeanShift, SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import Found, MisfitError, State

_GROUPS = 4


class PlainResBlock(nn.Module):
    """relu(x + 3x3(relu(3x3(x)))): the residual block of CARN, its activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3x3(channels, channels), nn.ReLU(inplace=True), conv3x3(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return F.relu(self.body(x) + x)


class EfficientResBlock(nn.Module):
    """relu(x + 1x1(relu(3x3(relu(3x3(x)))))), both 3x3 convolutions in four groups."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3x3(channels, channels, groups=_GROUPS),
            nn.ReLU(inplace=True),
            conv3x3(channels, channels, groups=_GROUPS),
            nn.ReLU(inplace=True),
            conv1x1(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return F.relu(self.body(x) + x)


class Fusion(nn.Module):
    """1x1 convolution of `count` joined tensors, then ReLU."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv1x1(channels * count, channels), nn.ReLU(inplace=True))

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Tensors [n, c, h, w] -> [n, c, h, w]."""
        return self.body(torch.cat(tensors, 1))


class CascadingBlock(nn.Module):
    """Three residual blocks, or in CARN-M one used three times; before each all earlier results are fused."""

    def __init__(self, channels: int, mobile: bool) -> None:
        super().__init__()
        self.mobile = mobile
        kind = EfficientResBlock if mobile else PlainResBlock
        self.b1 = kind(channels)
        if not mobile:
            self.b2, self.b3 = kind(channels), kind(channels)
        self.c1, self.c2, self.c3 = (Fusion(channels, count) for count in (2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        results = [x]
        blocks = (self.b1,) * 3 if self.mobile else (self.b1, self.b2, self.b3)
        for block, fuse in zip(blocks, (self.c1, self.c2, self.c3), strict=True):
            results.append(block(x))
            x = fuse(results)
        return x


class CARN(SRNetwork):
    """CARN: three cascading blocks in a cascade. In 0..255 as SLS trains it; the authors' is in 0..1."""

    architecture = "carn"
    mobile = False

    def __init__(self, scale: int, channels: int = 64) -> None:
        super().__init__(scale, channels=channels)
        self.sub_mean = MeanShift(self.value_range, -1)
        self.entry = conv3x3(3, channels)
        self.b1, self.b2, self.b3 = (CascadingBlock(channels, self.mobile) for _ in range(3))
        self.c1, self.c2, self.c3 = (Fusion(channels, count) for count in (2, 3, 4))
        self.upsample = nn.Sequential(*_upsample(scale, channels, _GROUPS if self.mobile else 1))
        self.exit = conv3x3(channels, 3)
        self.add_mean = MeanShift(self.value_range, +1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]."""
        x = self.entry(self.sub_mean(x))
        results = [x]
        for block, fuse in ((self.b1, self.c1), (self.b2, self.c2), (self.b3, self.c3)):
            results.append(block(x))
            x = fuse(results)
        return self.add_mean(self.exit(self.upsample(x)))


class CARNM(CARN):
    """CARN-M, the mobile variant: grouped convolutions, shared weights."""

    architecture = "carn_m"
    value_range = 1.0
    mobile = True


def _upsample(scale: int, channels: int, groups: int) -> list[nn.Module]:
    """Convolution, ReLU, pixel shuffle: once for x2 and x3, twice for x4."""
    layers: list[nn.Module] = []
    for factor in {2: [2], 3: [3], 4: [2, 2]}[scale]:
        grouped = conv3x3(channels, channels * factor**2, groups=groups)
        layers += [grouped, nn.ReLU(inplace=True), nn.PixelShuffle(factor)]
    return layers


def recognise(state: State, scale: int | None) -> Found | None:
    """The full network: residual blocks of two convolutions."""
    return None if "b1.b1.body.4.weight" in state else _found(state, scale)


def recognise_mobile(state: State, scale: int | None) -> Found | None:
    """CARN-M: residual blocks of three convolutions."""
    return _found(state, scale) if "b1.b1.body.4.weight" in state else None


def _found(state: State, scale: int | None) -> Found | None:
    """Of either; the authors' files hold the tails of all scales."""
    if "entry.weight" not in state or "b1.c1.body.0.weight" not in state:
        return None
    stages = sorted({int(match[1]) for name in state if (match := re.match(r"upsample\.up(\d)\.", name))})
    if stages and scale not in stages:
        problem = "holds CARN for several scales" if scale is None else f"has no scale {scale}"
        raise MisfitError(problem, f"add --scale with one of {stages}")
    several = any(name.startswith("upsample.up") for name in state)
    chosen = f"upsample.up{scale if stages else ''}.body." if several else "upsample."
    chosen_state = {
        name.replace(".shifter.", ".").replace(chosen, "upsample."): tensor
        for name, tensor in state.items()
        if not name.startswith("upsample.") or name.startswith(chosen)
    }
    channels = len(chosen_state["entry.weight"])
    filters = [len(chosen_state[name]) for name in ("upsample.0.weight", "upsample.3.weight") if name in chosen_state]
    factor = math.prod(math.isqrt(number // channels) for number in filters)
    return Found(factor, chosen_state, {"channels": channels})
