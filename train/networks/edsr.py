"""EDSR-baseline (Lim et al., CVPRW 2017) and LEDSR (Zhang et al., ASSL, NeurIPS 2021): its light-tailed sibling."""

from __future__ import annotations

import math

from torch import Tensor, nn

from sparsr.train.networks.base import MeanShift, ResBlock, SRNetwork, conv3x3, upsampler
from sparsr.train.networks.recognition import Found, MisfitError, State, count, tail_scale


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


def recognise_ledsr(state: State, _: int | None) -> Found | None:
    """EDSR's names with a tail of one convolution."""
    if "head.0.weight" not in state or "body.0.body.0.weight" not in state or "tail.1.weight" in state:
        return None
    return Found(tail_scale(state["tail.0.0.weight"]), state, _options(state))


def recognise_edsr(state: State, _: int | None) -> Found | None:
    """The authors' names. Larger EDSRs scale their residuals by a factor that stands in no weight."""
    if "head.0.weight" not in state or "body.0.body.0.weight" not in state or "tail.1.weight" not in state:
        return None
    options = _options(state)
    if options["blocks"] > 16:
        raise MisfitError(
            f"is an EDSR of {options['blocks']} blocks, which scales its residuals by a factor the file does not hold",
            "EDSR-baseline (16 blocks) can be imported",
        )
    scale = 1
    stages = [state[name] for name in ("tail.0.0.weight", "tail.0.2.weight") if name in state]
    for stage, following in zip(stages, [*stages[1:], state["tail.1.weight"]], strict=True):
        scale *= math.isqrt(len(stage) // following.shape[1])
    return Found(scale, state, options)


def _options(state: State) -> dict[str, int]:
    return {"channels": len(state["head.0.weight"]), "blocks": count(state, r"body\.(\d+)\.body\.")}
