"""ESPCN (Shi et al., Real-Time Single Image and Video SR Using an Efficient Sub-Pixel CNN, CVPR 2016)."""

from __future__ import annotations

import re
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import LumaNetwork
from sparsr.train.networks.recognition import VALUE_RANGES, Found, State, colours_of, renamed, tail_scale


class ESPCN(LumaNetwork):
    """A short chain of convolutions, `blocks` of them as wide as `channels`, one as `inner`, and a pixel shuffle.

    `hyperbolic`: tanh between the convolutions, else ReLU. `final`: what comes last, 0 nothing, 1 tanh, 2 sigmoid.
    """

    architecture = "espcn"
    value_range = 1.0

    def __init__(
        self,
        scale: int,
        channels: int = 64,
        inner: int = 32,
        blocks: int = 1,
        kernel: int = 5,
        hyperbolic: bool = True,
        final: int = 0,
        colours: int = 1,
        value_range: float = 1.0,
    ) -> None:
        options = {
            "channels": channels,
            "inner": inner,
            "blocks": blocks,
            "kernel": kernel,
            "hyperbolic": hyperbolic,
            "final": final,
        }
        super().__init__(scale, colours, value_range=value_range, **options)
        self.value_range = value_range
        self.hyperbolic = hyperbolic
        self.final = final
        widths = [colours, *[channels] * blocks, inner, colours * scale**2]
        kernels = [kernel, *[3] * (blocks + 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs, outputs, side, padding=side // 2)
            for (inputs, outputs), side in zip(pairwise(widths), kernels, strict=True)
        )

    def restore(self, x: Tensor) -> Tensor:
        """[n, colours, h, w] -> [n, colours, s*h, s*w]."""
        for conv in self.convs[:-1]:
            x = torch.tanh(conv(x)) if self.hyperbolic else F.relu(conv(x))
        x = F.pixel_shuffle(self.convs[-1](x), self.scale)
        if self.final == 0:
            return x
        return torch.tanh(x) if self.final == 1 else torch.sigmoid(x)


def recognise(state: State, _: int | None) -> Found | None:
    """Parts, or convolutions numbered from 1 (PyTorch, TensorFlow). No weight tells activations and ending."""
    if "first_part.0.weight" in state and "last_part.0.weight" in state:
        places = sorted({int(name.split(".")[1]) for name in state if name.startswith("first_part.")})
        rules = {rf"first_part\.{place}\.": f"conv{index}." for index, place in enumerate(places, 1)}
        state = renamed(state, rules | {r"last_part\.0\.": f"conv{len(places) + 1}."})
    if "f1.weight" in state and "alpha1" not in state:
        state = renamed(state, {r"f(\d+)\.": r"conv\1.", r"b(\d+)$": r"conv\1.bias"})
    numbers = sorted({int(match[1]) for name in state if (match := re.match(r"conv(\d+)\.(weight|bias)$", name))})
    if len(numbers) < 3 or numbers != list(range(1, len(numbers) + 1)) or len(state) != 2 * len(numbers):
        return None
    first, last = state["conv1.weight"], state[f"conv{numbers[-1]}.weight"]
    colours = colours_of(first)
    options = {"channels": len(first), "inner": last.shape[1], "blocks": len(numbers) - 2, "kernel": first.shape[2]}
    options["colours"] = colours
    undecided = {"value_range": VALUE_RANGES, "hyperbolic": (True, False), "final": (0, 1, 2)}
    state = renamed(state, {rf"conv{number}\.": f"convs.{number - 1}." for number in numbers})
    return Found(tail_scale(last, colours), state, options, undecided)
