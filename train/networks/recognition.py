"""What a file of foreign weights says about its network, and the rules that several architectures read it by."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
VALUE_RANGES = (255.0, 1.0)
FAITHFUL, PERCEPTUAL = 2e-3, 5e-2
"""Of full range: how far a smooth image, enlarged and shrunk again, is from itself. Networks trained for PSNR are
nearer than the first; for those that are also trained to please the eye, or to clean, only the second holds."""
SCALE = "scale"  # of `Found.open`: decided by `--scale` too


class MisfitError(Exception):
    """What is wrong with a file of this architecture, to be completed with the file's name."""

    def __init__(self, message: str, hint: str = "give another checkpoint") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Found:
    """What the names and shapes of the weights say."""

    scale: int
    state: State
    """Renamed to our network's keys, all branches that belong to one convolution collapsed."""
    options: dict[str, Any] = field(default_factory=dict)
    open: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Options of the architecture that names and shapes leave open: {option: the values it can have}."""
    tolerance: float = PERCEPTUAL
    """What the right values stay below; see `importers/readings`."""


Recogniser = Callable[[State, int | None], Found | None]
"""Called with the weights and the scale asked for, if any. None: these are not the names of this architecture."""


def tail_scale(weight: Tensor, colours: int = 3) -> int:
    """Scale of a network that ends in one convolution to `colours` * s^2 channels and a pixel shuffle."""
    scale = math.isqrt(len(weight) // colours)
    if colours * scale**2 != len(weight):
        raise MisfitError(f"ends in {len(weight)} filters, not {colours} times a square")
    return scale


def colours_of(weight: Tensor) -> int:
    """What the first convolution reads: 3 (RGB) or 1 (luma)."""
    colours = weight.shape[1]
    if colours not in (1, 3):
        raise MisfitError(f"takes {colours} channels, neither RGB nor luma")
    return colours


def count(state: Iterable[str], pattern: str) -> int:
    """How many different things the group of `pattern` names at the start of keys, numbered or not."""
    return len({match[1] for name in state if (match := re.match(pattern, name))})


def renamed(state: State, rules: dict[str, str]) -> State:
    """The weights under other names: regular expressions replaced at the start, the first that fits each name."""
    result: State = {}
    for name, tensor in state.items():
        for pattern, replacement in rules.items():
            changed, times = re.subn(f"^(?:{pattern})", replacement, name)
            if times:
                name = changed
                break
        result[name] = tensor
    return result


def with_batch_norm_folded(state: State, conv: str, norm: str, epsilon: float) -> State:
    """Without the normalisation `norm` that follows the convolution `conv`, its statistics in the filters."""
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(f"{norm}.")}
    mean, variance = state[f"{norm}.running_mean"].double(), state[f"{norm}.running_var"].double()
    factor = state[f"{norm}.weight"].double() / (variance + epsilon).sqrt()
    weight = state[f"{conv}.weight"].double()
    bias = state[f"{conv}.bias"].double() if f"{conv}.bias" in state else torch.zeros(len(weight), dtype=torch.double)
    rest[f"{conv}.weight"] = weight * factor[:, None, None, None]
    rest[f"{conv}.bias"] = (bias - mean) * factor + state[f"{norm}.bias"].double()
    return rest
