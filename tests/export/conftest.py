"""What tests of the command line export, and how much of it the certificate looks at."""

from __future__ import annotations

import pytest

from sparsr.export.parity import certificate as parity
from sparsr.train.networks.weight_norm import add_weight_norm
from sparsr.train.pruning.slimming import slim
from tests.export.exporting import store
from tests.small_networks import disturb, random_kept, small


@pytest.fixture()
def small_images(monkeypatch):
    """Certificates on smaller images: the networks here are random, only the way is tested."""
    monkeypatch.setattr(parity, "_ENGINE_VALUES", 2e4)
    monkeypatch.setattr(parity, "_REFERENCE_MACS", 3e6)


@pytest.fixture()
def checkpoint(tmp_path):
    """A small pruned LEDSR with weight normalisation, as training leaves it."""
    network = small("ledsr", 2)
    add_weight_norm(network)
    return store(slim(disturb(network), random_kept(network, 3)), tmp_path / "pruned.safetensors")
