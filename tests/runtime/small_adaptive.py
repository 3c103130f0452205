"""Adaptive bundles for tests: small networks with random weights and an estimator with chosen answers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle, AdaptiveCard, EstimatorFile, Network
from sparsr.train.adaptive.estimator import EstimatorNetwork, write_estimator
from tests.runtime.small_bundles import write_small_bundle

NETWORKS = {"large": (2, 8), "middle": (1, 6)}
"""Blocks and channels, the dearest first."""


def write_adaptive(folder: Path, patch: int = 16, bias: tuple[float, ...] | None = None) -> AdaptiveBundle:
    """x2, two LEDSR networks that see 7 and 5 pixels; `bias`: constant estimates in place of random ones."""
    folder.mkdir(parents=True)
    networks = []
    for name, (blocks, channels) in NETWORKS.items():
        bundle = write_small_bundle(folder / name, "ledsr", channels=channels, blocks=blocks)
        digest = hashlib.sha256((folder / name / "card.json").read_bytes()).hexdigest()
        networks.append(Network(name, name, digest, bundle.card.gmacs_720p, bundle.card.receptive_radius))
    estimator = random_estimator(len(NETWORKS) + 1, bias)
    (folder / "estimator.safetensors").write_bytes(estimator)
    entry = EstimatorFile("estimator.safetensors", len(estimator), hashlib.sha256(estimator).hexdigest(), 0.01)
    card = AdaptiveCard("test", 2, patch, tuple(networks), 0.01, entry)
    (folder / "card.json").write_text(json.dumps(card.to_json()))
    return AdaptiveBundle.open(folder)


def random_estimator(candidates: int, bias: tuple[float, ...] | None = None) -> bytes:
    """Random filters; the more texture a patch has, the worse the cheap candidates are. Or constant estimates."""
    torch.manual_seed(3)
    network = EstimatorNetwork(candidates)
    with torch.no_grad():
        for layer in (network.conv1, network.conv2, network.dense1):
            layer.bias.zero_()
        network.dense1.weight.fill_(1 / len(network.dense1.weight[0]))
        network.dense1.bias.fill_(6.5)  # without texture the features are log(1e-3)
        slope = torch.linspace(0, 1, candidates)[:, None] if bias is None else torch.zeros(candidates, 1)
        network.dense2.weight.copy_((slope / network.dense2.in_features).expand_as(network.dense2.weight))
        network.dense2.bias.copy_(torch.tensor(bias or [2.0] * candidates))
    return write_estimator(network, {})
