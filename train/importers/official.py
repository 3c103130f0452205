"""Recognises the authors' own checkpoints by their keys, and reads everything else from the tensors' shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import sha256
from sparsr.train.importers.architectures import Found, State, recogniser
from sparsr.train.importers.pytorch_file import read_state_dict
from sparsr.train.importers.readings import most_plausible, readings
from sparsr.train.networks import SRNetwork, build
from sparsr.train.networks.base import MeanShift
from sparsr.train.networks.weight_norm import filter_norms
from sparsr.train.networks.widths import convolutions, resize
from sparsr.train.pruning.sparse_conv import HIGHEST_SCORE
from sparsr.train.run.checkpoint import Card, card_for

_SCORES, _UNITS = ".priority_scores", ".pruning_units"  # SLS


def import_official(
    path: str | Path, scale: int | None = None, assume: Mapping[str, Any] | None = None
) -> tuple[SRNetwork, Card]:
    """Rebuild the network of an official checkpoint, on the CPU: EDSR, LEDSR dense or pruned, SMSR, IMDN, CARN dense or
    pruned by SLS, CARN-M, RFDN with or without skips in its distillation.

    `scale` chooses from a file for several scales. Weight normalisation is merged, mean shifts keep their stored
    values, and a value range other than the architecture's is converted; masks of SLS become zeros among the weights.
    What keys and shapes leave open is decided by a test image (see `readings`) or by `assume`: {option: value}.
    Raises `SparsrError` if the file is damaged, hostile, not recognised, ambiguous, or does not fit together.
    """
    path = Path(path)
    state = _without_prefix(read_state_dict(path))
    known = recogniser(state, path)
    _check(state, path)
    try:
        found = known(_merge_masks(_merge_weight_norm(state), path), path, scale)
    except KeyError as error:
        raise SparsrError(f"{path} lacks the weights {error}", "give a complete checkpoint") from error
    candidates = [(options, _build(found, options, path)) for options in readings(found.open, assume or {}, path)]
    network = most_plausible(candidates, path)
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


def _build(found: Found, options: dict[str, Any], path: Path) -> SRNetwork:
    """The network with the file's widths and weights; nothing is allocated for it that the file does not hold."""
    with torch.device("meta"):
        network = build(found.architecture, found.scale, **found.options, **options)
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
