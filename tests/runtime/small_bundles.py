"""Bundles for tests, written by the exporter from networks with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sparsr.export.exporter import FORMATS
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.bundle import ModelFile, describe, make_card, write_bundle
from sparsr.runtime.model.bundle import Bundle
from sparsr.train.networks import build
from sparsr.train.run.checkpoint import card_for


def write_small_bundle(folder: Path, architecture: str = "ledsr", scale: int = 2, **options: Any) -> Bundle:
    """A bundle with both model files, without a parity certificate; `options` as of `sparsr.train.networks.build`."""
    torch.manual_seed(0)
    network = build(architecture, scale, **options).eval().requires_grad_(False)
    graph, _ = optimise(lower(network, f"{architecture}-test"))
    files = [
        ModelFile(kind.name, kind.layout, content := kind.write(graph, {}), kind.operators(content))
        for kind in FORMATS.values()
    ]
    folder.mkdir(parents=True)
    write_bundle(folder, files, make_card(graph, describe(network, card_for(network, "dense")), files, []))
    return Bundle.open(folder)
