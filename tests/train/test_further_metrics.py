"""Further metrics of `train eval`: against closed forms, and left out with a reason where they cannot be had."""

from __future__ import annotations

import builtins
import json
import math

import numpy as np
import pytest
from PIL import Image
from test_train_cli import command  # noqa: F401 - a fixture

from sparsr.runtime.errors import SparsrError
from sparsr.train.quality.further import FURTHER, open_metric


def pictures(side):
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (side // 6, side // 6, 3), dtype=np.uint8))
    hr = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
    noise = random.normal(0, 1, hr.shape)
    return hr, [np.clip(hr + strength * noise, 0, 255).round().astype(np.uint8) for strength in (0, 6, 25)]


@pytest.mark.parametrize("name", ["ms_ssim", "vif"])
def test_one_for_the_picture_itself_and_less_for_more_noise(name):
    hr, noisy = pictures(176)
    values = [open_metric(name)(image, hr) for image in noisy]
    assert values[0] == pytest.approx(1, abs=1e-4)
    assert values[0] > values[1] + 1e-3 > values[2] + 1e-2
    small, _ = pictures(30)
    assert math.isnan(open_metric(name)(small, small))


def test_what_is_missing_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "torchvision":
            raise ModuleNotFoundError("No module named 'torchvision'", name="torchvision")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SparsrError, match="lpips needs the package torchvision"):
        open_metric("lpips")
    with pytest.raises(SparsrError, match="no metric 'niqe'"):
        open_metric("niqe")


def test_eval_shows_and_writes_them(command, tmp_path, monkeypatch):  # noqa: F811
    hr, _ = pictures(180)
    Image.fromarray(hr).save(tmp_path / "a.png")
    monkeypatch.setitem(FURTHER, "lpips", lambda: (_ for _ in ()).throw(ModuleNotFoundError(name="torchvision")))
    options = (
        "--scale",
        2,
        "--data",
        tmp_path,
        "--metric",
        "ms_ssim",
        "--metric",
        "lpips",
        "--json",
        tmp_path / "r.json",
    )
    done = command("eval", "bicubic", *options)
    record = json.loads((tmp_path / "r.json").read_text())
    assert 0.5 < record["mean"]["ms_ssim"] < 1 and "lpips" not in record["mean"]
    assert "left out: lpips needs the package torchvision" in str(done)
