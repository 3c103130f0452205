"""Compact: SRVGGNetCompact of Real-ESRGAN (Wang et al., ICCVW 2021), also known by animevideov3 and general-x4v3."""

from __future__ import annotations

import re

from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import LumaNetwork, conv3x3
from sparsr.train.networks.recognition import VALUE_RANGES, Found, State, colours_of, tail_scale


class Compact(LumaNetwork):
    """A chain of 3x3 convolutions at the image's size, a pixel shuffle, and the image itself enlarged (nearest) added.

    `learned`: every channel has a slope of its own for negative values (PReLU); else all have `slope`.
    """

    architecture = "compact"
    value_range = 1.0

    def __init__(
        self,
        scale: int,
        channels: int = 64,
        blocks: int = 16,
        learned: bool = True,
        slope: float = 0.0,
        colours: int = 3,
        value_range: float = 1.0,
    ) -> None:
        options = {"channels": channels, "blocks": blocks, "learned": learned, "slope": slope}
        super().__init__(scale, colours, value_range=value_range, **options)
        self.value_range = value_range
        layers: list[nn.Module] = [conv3x3(colours, channels)]
        for _ in range(blocks):
            layers += [_activation(channels, learned, slope), conv3x3(channels, channels)]
        layers += [_activation(channels, learned, slope), conv3x3(channels, colours * scale**2)]
        self.body = nn.Sequential(*layers)

    def restore(self, x: Tensor) -> Tensor:
        """[n, colours, h, w] -> [n, colours, s*h, s*w]."""
        if self.scale == 1:
            return self.body(x) + x
        enlarged = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return F.pixel_shuffle(self.body(x), self.scale) + enlarged


def _activation(channels: int, learned: bool, slope: float) -> nn.Module:
    return nn.PReLU(channels) if learned else nn.LeakyReLU(slope)


def recognise(state: State, _: int | None) -> Found | None:
    """`body.0` .. `body.N`, every other one a convolution; the authors know ReLU and leaky ReLU 0.1 beside PReLU."""
    if "body.0.weight" not in state or not all(re.fullmatch(r"body\.\d+\.(weight|bias)", name) for name in state):
        return None
    places = sorted({int(name.split(".")[1]) for name in state})
    convs = [place for place in places if state[f"body.{place}.weight"].dim() == 4]
    learned = len(places) > len(convs)
    if convs != list(range(0, places[-1] + 1, 2)) or len(convs) < 2:
        return None
    first, last = state["body.0.weight"], state[f"body.{places[-1]}.weight"]
    colours = colours_of(first)
    options = {"channels": len(first), "blocks": len(convs) - 2, "learned": learned, "colours": colours}
    undecided: dict[str, tuple[float, ...]] = {"value_range": VALUE_RANGES}
    if not learned:
        undecided["slope"] = (0.0, 0.1)
    return Found(tail_scale(last, colours), state, options, undecided)
