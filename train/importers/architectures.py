"""The architectures that are known by the keys of their authors' checkpoints, and what the shapes say of each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from sparsr.runtime.errors import SparsrError

State = dict[str, Tensor]
VALUE_RANGES = (255.0, 1.0)


@dataclass(frozen=True)
class Found:
    """What the keys and shapes say."""

    architecture: str
    scale: int
    state: State
    """Renamed to our network's keys."""
    options: dict[str, Any] = field(default_factory=dict)
    open: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Options of the architecture that keys and shapes leave open: {option: the values it can have}."""


Recogniser = Callable[[State, Path, int | None], Found]


def recogniser(state: State, path: Path) -> Recogniser:
    """What knows a checkpoint with these keys. Raises `SparsrError` if nothing does."""
    if any(name.endswith(".ch_mask") for name in state):
        return _smsr
    for key, known in _RECOGNISERS.items():
        if key in state:
            return known
    raise SparsrError(
        f"{path} is a PyTorch checkpoint of an unknown network (its first weights: {', '.join(list(state)[:3])})",
        "EDSR, LEDSR (ASSL), SMSR, IMDN, CARN (SLS), CARN-M and RFDN are known",
    )


def _edsr(state: State, path: Path, _: int | None) -> Found:
    blocks = 0
    while f"body.{blocks}.body.0.weight" in state:
        blocks += 1
    options = {"channels": len(state["head.0.weight"]), "blocks": blocks}
    if "tail.1.weight" not in state:
        return Found("ledsr", _tail_scale(state["tail.0.0.weight"], path), state, options)
    if blocks > 16:
        raise SparsrError(
            f"{path} is an EDSR of {blocks} blocks, which scales its residuals by a factor the file does not hold",
            "EDSR-baseline (16 blocks) can be imported",
        )
    scale = 1
    stages = [state[name] for name in ("tail.0.0.weight", "tail.0.2.weight") if name in state]
    for stage, following in zip(stages, [*stages[1:], state["tail.1.weight"]], strict=True):
        scale *= math.isqrt(len(stage) // following.shape[1])
    return Found("edsr", scale, state, options)


def _smsr(state: State, path: Path, _: int | None) -> Found:
    blocks = len({name.split(".")[1] for name in state if name.startswith("body.")})
    options = {"channels": len(state["head.0.weight"]), "blocks": blocks}
    return Found("smsr", _tail_scale(state["tail.0.weight"], path), state, options)


def _distillation(state: State, path: Path, _: int | None) -> Found:
    """IMDN and RFDN: the same trunk, told apart by the names of their blocks."""
    architecture, block = ("imdn", r"IMDB(\d+)\.") if "IMDB1.c1.weight" in state else ("rfdn", r"B(\d+)\.")
    renamed: State = {}
    for name, tensor in state.items():
        name = re.sub(r"^c\.0\.", "c.", name)
        renamed[re.sub(f"^{block}", lambda match: f"blocks.{int(match[1]) - 1}.", name)] = tensor
    options: dict[str, Any] = {"channels": len(state["fea_conv.weight"])}
    options["blocks"] = len({name.split(".")[1] for name in renamed if name.startswith("blocks.")})
    # Sigmoids: what the network makes of an image depends on the range of its values, which no shape tells.
    undecided: dict[str, tuple[Any, ...]] = {"value_range": VALUE_RANGES}
    if architecture == "rfdn":
        options["attention"] = len(renamed["blocks.0.esa.conv1.weight"])
        undecided["residual"] = (True, False) if _can_add(renamed) else (False,)
    return Found(architecture, _tail_scale(state["upsampler.0.weight"], path), renamed, options, undecided)


def _can_add(state: State) -> bool:
    """Whether every refining convolution of an RFDN gives as many channels as it takes."""
    refining = [weight.shape for name, weight in state.items() if re.search(r"\.c[123]_r\.weight$", name)]
    return all(outputs == inputs for outputs, inputs, *_ in refining)


def _carn(state: State, path: Path, scale: int | None) -> Found:
    mobile = "b1.b1.body.4.weight" in state
    stages = {int(match[1]) for name in state if (match := re.match(r"upsample\.up(\d)\.", name))}
    if stages and scale is None:
        raise SparsrError(f"{path} holds CARN for several scales", f"add --scale with one of {sorted(stages)}")
    if stages and scale not in stages:
        raise SparsrError(f"{path} has no scale {scale}", f"add --scale with one of {sorted(stages)}")
    several = any(name.startswith("upsample.up") for name in state)
    chosen = f"upsample.up{scale if stages else ''}.body." if several else "upsample."
    renamed = {
        name.replace(".shifter.", ".").replace(chosen, "upsample."): tensor
        for name, tensor in state.items()
        if not name.startswith("upsample.") or name.startswith(chosen)
    }
    channels = len(renamed["entry.weight"])
    filters = [len(renamed[name]) for name in ("upsample.0.weight", "upsample.3.weight") if name in renamed]
    return Found(
        "carn_m" if mobile else "carn",
        math.prod(math.isqrt(n // channels) for n in filters),
        renamed,
        {"channels": channels},
    )


_RECOGNISERS: dict[str, Recogniser] = {
    "head.0.weight": _edsr,
    "fea_conv.weight": _distillation,
    "entry.weight": _carn,
}
"""By a key that only this family has."""


def _tail_scale(weight: Tensor, path: Path) -> int:
    """Scale of a network that ends in one convolution to 3 s^2 channels and a pixel shuffle."""
    scale = math.isqrt(len(weight) // 3)
    if 3 * scale**2 != len(weight):
        raise SparsrError(f"the last convolution of {path} has {len(weight)} filters, not 3 times a square")
    return scale
