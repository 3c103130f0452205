"""What runs of the training loop work on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparsr.train.networks import build
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import card_for


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Path:
    """Three noisy pictures and a small dense checkpoint."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    for i in range(3):
        coarse = Image.fromarray(random.integers(0, 256, (9, 11, 3), dtype=np.uint8))
        coarse.resize((44, 36), Image.Resampling.BICUBIC).save(folder / "images" / f"{i}.png")
    torch.manual_seed(0)
    network = build("ledsr", 2, channels=8, blocks=2)
    checkpoint.save(folder / "dense.safetensors", network, card_for(network, "dense"))
    return folder
