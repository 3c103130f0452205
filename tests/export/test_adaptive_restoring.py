"""Adaptive bundles of networks that keep the size: pairs, and patches that are left as they are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from sparsr.bench.curve.curve import measure_curve
from sparsr.export.adaptive import build as adaptive
from sparsr.export.adaptive.build import build_adaptive
from sparsr.export.parity import certificate as parity
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import write_image
from sparsr.runtime.upscale.adaptive.upscaler import AdaptiveUpscaler
from sparsr.train.adaptive.estimator import train_estimator
from sparsr.train.networks import build
from sparsr.train.quality.metrics import psnr_rgb
from sparsr.train.run.checkpoint import card_for, save


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(parity, "_ENGINE_VALUES", 2e4)
    monkeypatch.setattr(parity, "_REFERENCE_MACS", 3e6)
    monkeypatch.setattr(adaptive, "train_estimator", partial(train_estimator, steps=20))


@pytest.fixture
def checkpoints(tmp_path):
    for channels in (2, 3):
        torch.manual_seed(channels)
        network = build("unet", 1, channels=channels).eval()
        save(tmp_path / f"unet{channels}.safetensors", network, card_for(network, "dense"))
    return [tmp_path / f"unet{channels}.safetensors" for channels in (2, 3)]


@pytest.fixture
def data(tmp_path):
    for seed in range(3):
        sharp = np.random.default_rng(seed).integers(0, 256, (64, 70, 3), dtype=np.uint8)
        write_image(tmp_path / f"pairs/sharp/{seed}.png", sharp)
        write_image(tmp_path / f"pairs/blur/{seed}.png", (sharp // 2) + 60)
    return tmp_path / "pairs"


@pytest.mark.slow
def test_the_cheapest_candidate_leaves_patches_as_they_are(checkpoints, data, tmp_path):
    card = build_adaptive(
        checkpoints, tmp_path / "out", data=[data], formats=["native"], patch=16, report=lambda _: None
    )
    assert card.candidates == ("unet3", "unet2", "as it is") and card.costs[-1] == 0
    assert "as it is" in card.describe() and "bicubic" not in card.describe()
    picture = np.random.default_rng(7).integers(0, 256, (50, 41, 3), dtype=np.uint8)
    upscaler = AdaptiveUpscaler(tmp_path / "out", threads=1, beta=1e6)
    assert np.array_equal(upscaler(picture), picture)
    upscaler.beta = 0.0
    assert upscaler(picture).shape == picture.shape
    points = measure_curve(upscaler, data, [1e6], 1, lambda _: None)
    expected = np.mean([psnr_rgb(np.uint8(pixels // 2 + 60), pixels) for pixels in truths()])
    assert points[2].psnr_y == pytest.approx(expected) == points[-1].psnr_y


def truths():
    return [np.random.default_rng(seed).integers(0, 256, (64, 70, 3), dtype=np.uint8) for seed in range(3)]


def test_a_folder_without_pairs_is_refused(checkpoints, tmp_path):
    write_image(tmp_path / "flat/a.png", np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(SparsrError, match="holds no pairs"):
        build_adaptive(checkpoints, tmp_path / "out", data=[tmp_path / "flat"], formats=["native"], report=print)
    assert not (tmp_path / "out").exists()
