"""Recognises the authors' own checkpoints by their keys, and reads everything else from the tensors' shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import sha256
from sparsr.train.importers.pytorch_file import read_state_dict
from sparsr.train.networks import SRNetwork, build
from sparsr.train.networks.base import MeanShift
from sparsr.train.networks.weight_norm import filter_norms
from sparsr.train.networks.widths import convolutions, resize
from sparsr.train.pruning.sparse_conv import HIGHEST_SCORE
from sparsr.train.run.checkpoint import Card, card_for

State = dict[str, Tensor]
_SCORES, _UNITS = ".priority_scores", ".pruning_units"  # SLS
_PROBE_SIDE = 48
_PROBE_TOLERANCE = 0.05  # of full range: a trained network's output, shrunk again, is about its input


@dataclass(frozen=True)
class _Found:
    """What the keys and shapes say."""

    architecture: str
    scale: int
    state: State
    """Renamed to our network's keys."""
    options: dict[str, Any] = field(default_factory=dict)


Recogniser = Callable[[State, Path, int | None], _Found]


def import_official(path: str | Path, scale: int | None = None) -> tuple[SRNetwork, Card]:
    """Rebuild the network of an official checkpoint, on the CPU: EDSR, LEDSR dense or pruned, SMSR, IMDN, CARN dense or
    pruned by SLS, CARN-M, RFDN.

    `scale` chooses from a file for several scales. Weight normalisation is merged, mean shifts keep their stored
    values, and a value range other than the architecture's is converted; masks of SLS become zeros among the weights.
    Raises `SparsrError` if the file is
    damaged, hostile, not recognised, or does not fit together.
    """
    path = Path(path)
    state = _without_prefix(read_state_dict(path))
    recogniser = _recogniser(state, path)
    _check(state, path)
    try:
        found = recogniser(_merge_masks(_merge_weight_norm(state), path), path, scale)
    except KeyError as error:
        raise SparsrError(f"{path} lacks the weights {error}", "give a complete checkpoint") from error
    network = _with_native_range(_build(found, path), found, path)
    record = {"imported_from": path.name, "sha256": sha256(path)}
    return network.eval(), card_for(network, "imported", training=record)


def _without_prefix(state: State) -> State:
    """Names without the `module.` and `model.` that wrappers put before all of them."""
    for prefix in ("module.", "model.", "module."):
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _merge_weight_norm(state: State) -> State:
    """ASSL's scales multiplied into the filters they belong to."""
    merged = {name: tensor for name, tensor in state.items() if not name.endswith(".wn_scale")}
    for name in state.keys() - merged.keys():
        weight = name.removesuffix("wn_scale") + "weight"
        merged[weight] = state[weight] * (state[name] / filter_norms(state[weight]))[:, None, None, None]
    return merged


def _merge_masks(state: State, path: Path) -> State:
    """SLS's masks multiplied into the weights they belong to: unit 1 and those whose priority is above 1/2.

    From units and priorities, not from their number: with scores up to 1.03 a unit can be off before one that is on.
    """
    merged = {name: tensor for name, tensor in state.items() if not name.endswith((_SCORES, _UNITS))}
    for name, scores in state.items():
        if not name.endswith(_SCORES):
            continue
        layer = name.removesuffix(_SCORES)
        units, weight = state[layer + _UNITS], state[layer + ".weight"]
        if units.shape != (len(scores) + 1, *weight.shape):
            raise SparsrError(f"{layer}{_UNITS} in {path} does not fit its weights", "give a complete checkpoint")
        on = torch.cat([scores.new_ones(1), scores.clamp(0, HIGHEST_SCORE).cumprod(0)]) > 0.5
        merged[layer + ".weight"] = weight * units[on].sum(0)
    return merged


def _recogniser(state: State, path: Path) -> Recogniser:
    """What knows a checkpoint with these keys."""
    if any(name.endswith(".ch_mask") for name in state):
        return _smsr
    for key, recogniser in _RECOGNISERS.items():
        if key in state:
            return recogniser
    raise SparsrError(
        f"{path} is a PyTorch checkpoint of an unknown network (its first weights: {', '.join(list(state)[:3])})",
        "EDSR, LEDSR (ASSL), SMSR, IMDN, CARN (SLS), CARN-M and RFDN are known",
    )


def _check(state: State, path: Path) -> None:
    """All tensors must be what the recognisers take for granted: convolutions of finite numbers."""
    for name, tensor in state.items():
        if name.endswith((_SCORES, _UNITS)):
            if tensor.dim() != (1 if name.endswith(_SCORES) else 5) or not tensor.isfinite().all():
                raise SparsrError(f"{name} in {path} is no mask of SLS", "give another checkpoint")
            continue
        filters = state.get(name.rpartition(".")[0] + ".weight", tensor)
        four = name.endswith((".weight", ".ch_mask"))
        transposed = "spa_mask.5." in name  # its filters are in the second dimension
        if (
            tensor.dim() != (4 if four else 1)
            or (tensor.shape[:1] != filters.shape[:1] and not transposed)
            or not tensor.numel()
        ):
            raise SparsrError(f"{name} in {path} is no part of a convolution", "give another checkpoint")
        if not tensor.isfinite().all():
            raise SparsrError(f"{name} in {path} holds numbers that are not finite", "give another checkpoint")


def _edsr(state: State, path: Path, _: int | None) -> _Found:
    blocks = 0
    while f"body.{blocks}.body.0.weight" in state:
        blocks += 1
    options = {"channels": len(state["head.0.weight"]), "blocks": blocks}
    if "tail.1.weight" not in state:
        return _Found("ledsr", _tail_scale(state["tail.0.0.weight"], path), state, options)
    if blocks > 16:
        raise SparsrError(
            f"{path} is an EDSR of {blocks} blocks, which scales its residuals by a factor the file does not hold",
            "EDSR-baseline (16 blocks) can be imported",
        )
    scale = 1
    stages = [state[name] for name in ("tail.0.0.weight", "tail.0.2.weight") if name in state]
    for stage, following in zip(stages, [*stages[1:], state["tail.1.weight"]], strict=True):
        scale *= math.isqrt(len(stage) // following.shape[1])
    return _Found("edsr", scale, state, options)


def _smsr(state: State, path: Path, _: int | None) -> _Found:
    blocks = len({name.split(".")[1] for name in state if name.startswith("body.")})
    options = {"channels": len(state["head.0.weight"]), "blocks": blocks}
    return _Found("smsr", _tail_scale(state["tail.0.weight"], path), state, options)


def _distillation(state: State, path: Path, _: int | None) -> _Found:
    """IMDN and RFDN: the same trunk, told apart by the names of their blocks."""
    architecture, block = ("imdn", r"IMDB(\d+)\.") if "IMDB1.c1.weight" in state else ("rfdn", r"B(\d+)\.")
    renamed: State = {}
    for name, tensor in state.items():
        name = re.sub(r"^c\.0\.", "c.", name)
        renamed[re.sub(f"^{block}", lambda match: f"blocks.{int(match[1]) - 1}.", name)] = tensor
    options: dict[str, Any] = {"channels": len(state["fea_conv.weight"])}
    options["blocks"] = len({name.split(".")[1] for name in renamed if name.startswith("blocks.")})
    if architecture == "rfdn":
        options["attention"] = len(renamed["blocks.0.esa.conv1.weight"])
    return _Found(architecture, _tail_scale(state["upsampler.0.weight"], path), renamed, options)


def _carn(state: State, path: Path, scale: int | None) -> _Found:
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
    return _Found(
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


def _build(found: _Found, path: Path) -> SRNetwork:
    """The network with the file's widths and weights; nothing is allocated for it that the file does not hold."""
    with torch.device("meta"):
        network = build(found.architecture, found.scale, **found.options)
    convs = convolutions(network)
    shapes = {name: found.state[f"{name}.weight"].shape for name in convs if f"{name}.weight" in found.state}
    resize(network, {name: (shape[0], shape[1] * convs[name].groups) for name, shape in shapes.items()})
    state = {name: tensor.float().contiguous() for name, tensor in (_mean_shifts(network) | found.state).items()}
    _convert_range(network, state)
    try:
        network.load_state_dict(state, assign=True)
        side = max(network.minimum_size, 4)
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, side, side))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()[:200]
        raise SparsrError(f"the weights of {path} do not fit {found.architecture}: {reason}") from error
    return network


def _mean_shifts(network: SRNetwork) -> State:
    """The constants of a network whose file leaves them out."""
    state: State = {}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        if hasattr(network, name):
            constants = MeanShift(network.value_range, sign).state_dict()
            state |= {f"{name}.{key}": value for key, value in constants.items()}
    return state


def _convert_range(network: SRNetwork, state: State) -> None:
    """Scale all biases from 0..1 to 0..255 or back, exact for networks without sigmoids: those with mean shifts."""
    if "add_mean.bias" not in state:
        return
    stored = 255.0 if state["add_mean.bias"].abs().max() > 1 else 1.0
    for name in state:
        if name.endswith(".bias") and stored != network.value_range:
            state[name] = state[name] * (network.value_range / stored)


def _with_native_range(network: SRNetwork, found: _Found, path: Path) -> SRNetwork:
    """A network with sigmoids, told the value range it was trained on: the one in which it enlarges a test image."""
    if "add_mean.bias" in network.state_dict():
        return network
    errors = {value_range: _probe_error(network, value_range) for value_range in (1.0, 255.0)}
    best = min(errors, key=lambda value_range: errors[value_range])
    if best == network.value_range or errors[best] > _PROBE_TOLERANCE:
        return network
    return _build(_Found(found.architecture, found.scale, found.state, found.options | {"value_range": best}), path)


def _probe_error(network: SRNetwork, value_range: float) -> float:
    """Mean difference, as a share of the range, between a smooth image and its enlargement shrunk again."""
    ramp = torch.linspace(0, 1, _PROBE_SIDE)
    image = torch.stack([ramp[None] + 0 * ramp[:, None], ramp[:, None] + 0 * ramp[None], ramp[None] * ramp[:, None]])
    with torch.inference_mode():
        enlarged = network(image[None] * value_range) / value_range
    return float((F.avg_pool2d(enlarged, network.scale) - image).abs().mean())
