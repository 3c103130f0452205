"""Recognises other authors' checkpoints by the names of their weights, and reads everything else from the shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import sha256
from sparsr.train.importers.readings import ARCHITECTURE, Candidate, most_plausible, readings
from sparsr.train.importers.weights_file import read_weights, weight_files
from sparsr.train.networks import ARCHITECTURES, SRNetwork, build
from sparsr.train.networks.base import ColourMap
from sparsr.train.networks.recognition import SCALE, Found, MisfitError, State
from sparsr.train.networks.weight_norm import filter_norms
from sparsr.train.networks.widths import convolutions, fit_slopes, resize
from sparsr.train.pruning.sparse_conv import HIGHEST_SCORE
from sparsr.train.run.checkpoint import Card, card_for

_SCORES, _UNITS = ".priority_scores", ".pruning_units"  # SLS
_WEIGHTS = "weights"  # may be assumed: which of several wrappers counts
_PREFIXES = (
    "module.", "_orig_mod.", "model.", "net_g.", "generator.", "ema_model.", "params_ema.", "params.", "state_dict.",
)  # fmt: skip
"""What wrappers put before all names."""
_COUNTERS = ("num_batches_tracked", "n_averaged", "total_ops", "total_params")
"""Numbers that training and profiling keep beside the weights."""
_LOSSES = ("criterion.", "loss.", "perceptual_loss.", "loss_fn.", "vgg.", "net_d.", "discriminator.")
"""Modules of the training that checkpoints of whole trainers hold too."""


class UnknownNetworkError(SparsrError):
    """A whole checkpoint of an architecture that is not in the registry."""


def import_official(
    path: str | Path, scale: int | None = None, assume: Mapping[str, Any] | None = None
) -> tuple[SRNetwork, Card]:
    """Rebuild the network of other authors' checkpoint, PyTorch or safetensors, or of a folder of them, on the CPU: any
    architecture of the registry (`sparsr train list`), dense, slimmed or with the masks of SLS.

    `scale` chooses from a file for several scales. Weight normalisation and re-parameterised branches are merged, mean
    shifts keep their stored values, and a value range other than the architecture's is converted; masks of SLS become
    zeros among the weights. What names and shapes leave open is decided by a test image (see `readings`) or by
    `assume`: {option: value}. Raises `SparsrError` if the file is damaged, hostile, not recognised, ambiguous, or does
    not fit together.
    """
    path = Path(path)
    assume = dict(assume or {})
    weights = read_weights(path, assume.get(_WEIGHTS))
    if weights.left:
        assume.pop(_WEIGHTS, None)
    state = _without_prefixes(weights.tensors)
    _check(state, path)
    found = _recognised(state, path, scale)
    candidates = []
    for architecture, what in _assumed(found, assume, path).items():
        own = {SCALE: scale} if scale and SCALE in what.open else {}
        for options in readings(what.open, own | assume, path):
            about = options if len(found) == 1 else {ARCHITECTURE: architecture} | options
            candidates.append(Candidate(about, _build(architecture, what, options, path), what.tolerance))
    network = most_plausible(candidates, path)
    record = {"imported_from": path.name, "sha256": _fingerprint(path)} | weights.record()
    return network.eval(), card_for(network, "imported", training=record)


def _fingerprint(path: Path) -> str | dict[str, str]:
    """SHA-256 of the file, or of each of a folder's."""
    return {file.name: sha256(file) for file in weight_files(path)} if path.is_dir() else sha256(path)


def _recognised(state: State, path: Path, scale: int | None) -> dict[str, Found]:
    """What every architecture that knows these names makes of them. Raises `SparsrError` if none does."""
    try:
        merged = _merge_masks(_merge_weight_norm(state), path)
        known = {name: entry.recognise(merged, scale) for name, entry in ARCHITECTURES.items()}
    except MisfitError as error:
        raise SparsrError(f"{path} {error}", error.hint) from error
    except KeyError as error:
        raise SparsrError(f"{path} lacks the weights {error}", "give a complete checkpoint") from error
    except (IndexError, ValueError, RuntimeError) as error:  # shapes that no network of these names has
        raise SparsrError(f"the weights of {path} do not fit together: {error}", "give another checkpoint") from error
    found = {name: what for name, what in known.items() if what}
    if not found:
        raise UnknownNetworkError(
            f"{path} is a checkpoint of an unknown network (its first weights: {', '.join(list(state)[:3])})",
            f"known are {', '.join(ARCHITECTURES)}; of any other give an ONNX file, "
            "or install 'sparsr[spandrel]' for `sparsr export`",
        )
    return found


def _assumed(found: dict[str, Found], assume: dict[str, Any], path: Path) -> dict[str, Found]:
    """The architectures that are left, the assumption about them taken out of `assume`."""
    if ARCHITECTURE not in assume:
        return found
    chosen = assume.pop(ARCHITECTURE)
    if chosen not in found:
        raise SparsrError(f"{path} cannot be {chosen}", f"its weights have the names of {' and '.join(found)}")
    return {chosen: found[chosen]}


def _without_prefixes(state: State) -> State:
    """Names without what wrappers put before all of them; without counters, and losses beside a wrapped network."""
    state = {name: tensor for name, tensor in state.items() if not name.endswith(_COUNTERS)}
    if any(name.startswith(_PREFIXES) for name in state):
        state = {name: tensor for name, tensor in state.items() if not name.startswith(_LOSSES)}
    while prefix := next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        if not state:
            break
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
    """All tensors must be what the recognisers take for granted: finite numbers of convolutions and what belongs to
    them, slopes and normalisations."""
    for name, tensor in state.items():
        if name.endswith((_SCORES, _UNITS)):
            if tensor.dim() != (1 if name.endswith(_SCORES) else 5) or not tensor.isfinite().all():
                raise SparsrError(f"{name} in {path} is no mask of SLS", "give another checkpoint")
        elif not tensor.numel() or not _fits(state, name):
            raise SparsrError(f"{name} in {path} is no part of a convolution", "give another checkpoint")
        elif not tensor.isfinite().all():
            raise SparsrError(f"{name} in {path} holds numbers that are not finite", "give another checkpoint")


def _fits(state: State, name: str) -> bool:
    """Whether the tensor has the dimensions of what its name says."""
    layer, _, kind = name.rpartition(".")
    dimensions, weight = state[name].dim(), state.get(f"{layer}.weight")
    if kind == "ch_mask":
        return dimensions == 4
    if kind == "weight":
        alone = f"{layer}.bias" not in state  # a slope
        return dimensions == 4 or (dimensions == 1 and (alone or f"{layer}.running_mean" in state))
    if weight is None or not weight.dim():
        return dimensions == 1
    return dimensions == 1 and len(state[name]) in weight.shape[:2]  # a transposed convolution has filters second


def _build(architecture: str, found: Found, options: dict[str, Any], path: Path) -> SRNetwork:
    """The network with the file's widths and weights; nothing is allocated for it that the file does not hold."""
    options = {SCALE: found.scale} | found.options | options
    with torch.device("meta"):
        network = build(architecture, **options)
    convs = convolutions(network)
    shapes = {name: found.state[f"{name}.weight"].shape for name in convs if f"{name}.weight" in found.state}
    try:
        resize(network, {name: (shape[0], shape[1] * convs[name].groups) for name, shape in shapes.items()})
        state = _colour_maps(network) | found.state
        state = {name: tensor.float().contiguous() for name, tensor in state.items()}
        _convert_range(network, state)
        fit_slopes(network, state)
        network.load_state_dict(state, assign=True)
        side = max(network.minimum_size, 4)
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, side, side))
    except (RuntimeError, IndexError) as error:
        reason = str(error).splitlines()[-1].strip()[:200]
        raise SparsrError(f"the weights of {path} do not fit {architecture}: {reason}") from error
    return network


def _colour_maps(network: SRNetwork) -> State:
    """The constants that files may leave out."""
    maps = {name: module for name, module in network.named_modules() if isinstance(module, ColourMap)}
    return {f"{name}.{key}": value for name, module in maps.items() for key, value in module.constants().items()}


def _convert_range(network: SRNetwork, state: State) -> None:
    """Scale all biases from 0..1 to 0..255 or back, exact for networks without sigmoids: those with mean shifts."""
    if "add_mean.bias" not in state:
        return
    stored = 255.0 if state["add_mean.bias"].abs().max() > 1 else 1.0
    for name in state:
        if name.endswith(".bias") and stored != network.value_range:
            state[name] = state[name] * (network.value_range / stored)
