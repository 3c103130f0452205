"""Bundles for tests, written by the exporter from networks with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from export.bundle_writer import ModelFile, make_card, write_bundle
from export.exporter import FORMATS
from export.lowering import lower
from export.passes import optimise
from runtime.bundle import Bundle
from train.checkpoint import card_for
from train.networks import build


def write_small_bundle(folder: Path, architecture: str = "ledsr", scale: int = 2, **options: Any) -> Bundle:
    """A bundle with both model files, without a parity certificate; `options` as of `train.networks.build`."""
    torch.manual_seed(0)
    network = build(architecture, scale, **options).eval().requires_grad_(False)
    graph, _ = optimise(lower(network, f"{architecture}-test"))
    files = [
        ModelFile(kind.name, kind.layout, content := kind.write(graph, {}), kind.operators(content))
        for kind in FORMATS.values()
    ]
    folder.mkdir(parents=True)
    write_bundle(folder, files, make_card(graph, network, card_for(network, "dense"), files, []))
    return Bundle.open(folder)
