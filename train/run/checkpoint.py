"""Our checkpoint: one .safetensors file with the weights and, in its metadata, the card that rebuilds the network.

The card is also written beside it as .json for people to read; that copy is never read back.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file, write_text
from sparsr.train.networks import SRNetwork, build
from sparsr.train.networks.base import TASKS
from sparsr.train.networks.graph import GraphNetwork
from sparsr.train.networks.weight_norm import WeightNormConv2d, add_weight_norm
from sparsr.train.networks.widths import Widths, fit_slopes, resize, widths
from sparsr.train.pruning.sparse_conv import add_gates, sparse_convolutions

SCHEMA = "sparsr-checkpoint/1"
CARD = "card"  # its name in the metadata
MAX_OPTION = 4096  # blocks or channels: a card from outside must not build an endless network


@dataclass(frozen=True)
class Card:
    """What a checkpoint is: enough to rebuild the network, and where it came from."""

    architecture: str
    scale: int
    options: dict[str, Any]
    """Keyword arguments of the architecture before slimming."""
    widths: Widths
    """(out, in) channels of every convolution as stored."""
    weight_norm: bool
    """True while the convolutions still carry ASSL's scales."""
    method: str
    """dense, assl, gassl, l1, smsr, or `imported`."""
    training: dict[str, Any] = field(default_factory=dict)
    """Recipe, steps, data and terms; what the training run knows."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Measured quality: {data set: {"psnr_y": dB, "ssim_y": ...}}, at scale 1 psnr_rgb and ssim_rgb."""
    gates: int = 0
    """M while the convolutions carry the gates of N:M training; 0 for plain ones."""
    shared: int = 1
    """How many filters share one pattern of these gates."""
    layers: Sequence[Mapping[str, Any]] = ()
    """What a network that came as a graph is made of; see `networks/graph.py`."""
    task: str = ""
    """What the network is for; empty in cards of before, which then says its class."""
    schema: str = SCHEMA


def card_for(network: SRNetwork, method: str, **record: Any) -> Card:
    """The card that describes `network` as it is now."""
    weight_norm = any(isinstance(module, WeightNormConv2d) for module in network.modules())
    gated = sparse_convolutions(network).values()
    gates, shared = max(((conv.m, conv.shared) for conv in gated), default=(0, 1))
    return Card(
        network.architecture,
        network.scale,
        dict(network.options),
        widths(network),
        weight_norm,
        method,
        gates=gates,
        shared=shared,
        layers=_layers(network),
        task=network.task,
        **record,
    )


def _layers(network: SRNetwork) -> list[dict[str, Any]]:
    return [dataclasses.asdict(layer) for layer in network.layers] if isinstance(network, GraphNetwork) else []


def save(path: str | Path, network: SRNetwork, card: Card) -> None:
    """Write weights and card to `path` (.safetensors) atomically, and the readable card beside it."""
    path = Path(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    text = json.dumps(dataclasses.asdict(card), sort_keys=True)
    with atomic_file(path) as temporary:
        temporary.write_bytes(to_bytes(tensors, {CARD: text}))
    write_text(path.with_suffix(".json"), json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n")


def load(path: str | Path) -> tuple[SRNetwork, Card]:
    """Rebuild the network of a checkpoint of ours, on the CPU, in eval mode.

    Raises `SparsrError` if the file is missing, truncated, not ours, or does not fit its card.
    """
    path = Path(path)
    if not path.is_file():
        raise SparsrError(
            f"there is no checkpoint {path}", "check the path; `sparsr train list` names the trained models"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise SparsrError(f"{path} is not a whole safetensors file ({error})", "copy or download it again") from error
    if CARD not in metadata:
        raise SparsrError(
            f"{path} has no SparSR card", "give a checkpoint written by `python -m train`, or an official .pth file"
        )
    card = parse_card(metadata[CARD], path)
    network = skeleton(card)
    fit_slopes(network, tensors)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise SparsrError(
            f"the weights in {path} do not fit its card: {str(error).splitlines()[-1].strip()}"
        ) from error
    return network.eval(), card


def parse_card(text: str, path: Path) -> Card:
    """Card from its JSON text. Raises `SparsrError` for anything but a card of this schema."""
    try:
        raw = json.loads(text)
        if raw.get("schema") != SCHEMA:
            raise SparsrError(f"the card of {path} has schema {raw.get('schema')!r}, not {SCHEMA}", "update SparSR")
        raw["widths"] = {str(name): (int(out), int(into)) for name, (out, into) in raw["widths"].items()}
        card = Card(**raw)
        if not isinstance(card.options, dict) or not all(isinstance(v, int | float) for v in card.options.values()):
            raise TypeError("options must be numbers")
        if card.task and card.task not in TASKS:
            raise ValueError(f"there is no task {card.task!r}")
        if any(v > MAX_OPTION for v in card.options.values()):
            raise ValueError("options are out of range")
    except SparsrError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise SparsrError(f"the card of {path} is damaged: {error}", "copy or download the checkpoint again") from error
    return card


def skeleton(card: Card) -> SRNetwork:
    """The card's network without memory behind it, so that a hostile card costs nothing."""
    with torch.device("meta"):
        network = _of_layers(card) if card.layers else build(card.architecture, card.scale, **card.options)
        network.task = card.task or network.task  # type: ignore[assignment]
        resize(network, card.widths)
        if card.weight_norm:
            add_weight_norm(network)
        if card.gates:
            add_gates(network, card.gates, card.shared)
    return network


def _of_layers(card: Card) -> GraphNetwork:
    try:
        return GraphNetwork(card.scale, card.layers, **card.options)
    except (TypeError, ValueError, KeyError) as error:
        raise SparsrError(f"the card's layers make no network: {error}", "prune the original once more") from error
