"""Building adaptive bundles: what is written, what the estimator learns, what is refused."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparsr.export import cli as cli
from sparsr.export.adaptive import build as adaptive
from sparsr.export.adaptive.build import build_adaptive
from sparsr.export.parity import certificate as parity
from sparsr.runtime.errors import SparsrError, run_cli
from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle
from sparsr.runtime.upscale.adaptive.estimator import Estimator, metadata
from sparsr.runtime.upscale.adaptive.upscaler import AdaptiveUpscaler
from sparsr.train.adaptive.estimator import ErrorMaps, error_maps, train_estimator, write_estimator
from sparsr.train.data.bicubic import downscale
from sparsr.train.networks import build
from sparsr.train.run.checkpoint import card_for, save


def silent(line):
    pass


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Certificates on smaller images, and a short training."""
    monkeypatch.setattr(parity, "_ENGINE_VALUES", 2e4)
    monkeypatch.setattr(parity, "_REFERENCE_MACS", 3e6)
    monkeypatch.setattr(adaptive, "train_estimator", partial(train_estimator, steps=20))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, channels, scale in (("wide", 8, 2), ("narrow", 4, 2), ("x3", 4, 3)):
        torch.manual_seed(channels)
        network = build("ledsr", scale, channels=channels, blocks=1).eval()
        save(folder / f"{name}.safetensors", network, card_for(network, "dense"))
    return {path.stem: path for path in folder.glob("*.safetensors")}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (80, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


def export(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["export", "adaptive", *map(str, arguments)])
    try:
        code = run_cli(cli.main)
    except SystemExit as error:  # argparse
        code = error.code
    return code, *capsys.readouterr()


def test_builds_a_bundle_and_again_from_its_estimator(monkeypatch, capsys, checkpoints, images, tmp_path):
    models = checkpoints["narrow"], checkpoints["wide"]
    out = tmp_path / "adaptive"
    options = ["--out", out, "--format", "onnx", "--patch", 16]
    code, text, err = export(monkeypatch, capsys, *models, *options, "--data", images)
    assert (code, err) == (0, "")
    assert "patches of 16x16" in text
    bundle = AdaptiveBundle.open(out)
    assert [network.name for network in bundle.card.networks] == ["wide", "narrow"]  # the dearest first
    assert [n.halo for n in bundle.card.networks] == [n.card.receptive_radius for n in bundle.networks]
    assert [n.cost for n in bundle.card.networks] == [n.card.gmacs_720p for n in bundle.networks]
    assert AdaptiveUpscaler(bundle, threads=1)(np.zeros((20, 30, 3), np.uint8)).shape == (40, 60, 3)
    content = (out / "estimator.safetensors").read_bytes()
    assert metadata(content)["candidates"] == "wide,narrow,bicubic"

    again = tmp_path / "again"
    build_adaptive(models, again, estimator=out / "estimator.safetensors", formats=["onnx"], report=silent)
    assert (again / "card.json").read_text().replace('"again"', '"adaptive"') == (out / "card.json").read_text()
    code, _, err = export(monkeypatch, capsys, checkpoints["wide"], "--out", tmp_path / "other", "--estimator",
                          out / "estimator.safetensors", "--format", "onnx")  # fmt: skip
    assert code == 2 and "was made for x2: wide,narrow,bicubic" in err
    assert not (tmp_path / "other").exists()


def test_errors_are_those_of_the_candidates(images):
    def grey(value, lr):
        return np.full((2 * lr.shape[0], 2 * lr.shape[1], 3), value, np.uint8)

    maps = error_maps([images], [partial(grey, 0), partial(grey, 100)], 2, silent)
    assert len(maps) == 3
    hr = np.asarray(Image.open(images / "0.png"))
    luma = hr @ (np.array([65.481, 128.553, 24.966]) / 255)
    np.testing.assert_allclose(maps[0].errors[0].mean(), (luma**2).mean(), rtol=1e-4)
    level = 100 * 219 / 255
    np.testing.assert_allclose(maps[0].errors[1, 5, 7], ((luma[10:12, 14:16] - level) ** 2).mean(), rtol=1e-4)
    np.testing.assert_allclose(maps[0].luma, downscale(hr, 2) @ (np.array([65.481, 128.553, 24.966]) / 255), atol=1e-3)


def test_learns_which_patches_are_hard():
    """Errors of the cheap candidate proportional to the texture's energy, of the dear one a tenth of it."""
    rng = np.random.default_rng(0)
    maps = []
    for _ in range(40):
        strength = rng.uniform(1, 60)
        luma = (128 + rng.normal(0, strength, (40, 40))).astype(np.float32)
        energy = np.full((40, 40), strength**2, np.float32)
        maps.append(ErrorMaps(luma, np.stack([energy / 10 + 5, energy + 5])))
    network, record = train_estimator(maps, 16, silent, steps=250)
    assert record["explained_log_error"] > 0.7
    read = Estimator.read(write_estimator(network, {}))
    rough = np.clip(128 + rng.normal(0, 50, (16, 16, 1)), 0, 255).astype(np.uint8).repeat(3, 2)
    dear, cheap = read(rough, 16)[:, 0, 0]
    assert dear < 0.4 * cheap


def test_refuses_what_cannot_be_built(monkeypatch, capsys, checkpoints, images, tmp_path):
    def refused(*arguments):
        code, _, err = export(monkeypatch, capsys, *arguments, "--out", tmp_path / "out", "--format", "onnx")
        assert code == 2 and not (tmp_path / "out").exists()
        return err

    wide = checkpoints["wide"]
    assert "one of the arguments --data --estimator" in refused(wide)
    assert "same scale" in refused(wide, checkpoints["x3"], "--data", images)
    assert "two of the networks are called wide" in refused(wide, wide, "--data", images)
    assert "there is no folder" in refused(wide, "--data", tmp_path / "missing")
    assert "too few" in refused(wide, "--data", images, "--patch", 64)
    (tmp_path / "bad").write_bytes(b"nothing")
    assert "is not an estimator" in refused(wide, "--estimator", tmp_path / "bad")


def test_nothing_half_written(checkpoints, tmp_path):
    with pytest.raises(SparsrError):
        build_adaptive([checkpoints["wide"]], tmp_path / "out", formats=["onnx"], report=silent)
    assert not any(tmp_path.iterdir())


def test_the_zoos_estimator_knows_networks_of_the_zoo():
    zoo = Path(__file__).parents[2] / "train" / "zoo"
    content = (zoo / "estimators" / "rfdn64_x4.safetensors").read_bytes()
    *networks, last = metadata(content)["candidates"].split(",")
    assert last == "bicubic"
    assert all((zoo / f"{name}.safetensors").is_file() for name in networks)
    assert Estimator.read(content).candidates == len(networks) + 1
