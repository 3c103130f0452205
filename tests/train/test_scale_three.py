"""Scale 3, whose official models nobody has: trained, pruned and measured by the shipped recipes, exported, and run."""

from __future__ import annotations

import numpy as np
import pytest

from sparsr.export.exporter import export_model
from sparsr.runtime.media.images import list_images, read_image, write_image
from sparsr.runtime.upscale.upscaler import Upscaler
from sparsr.train.cli import build_parser
from sparsr.train.data.bicubic import crop_to_multiple, downscale
from sparsr.train.importers.models import load_model
from sparsr.train.quality.evaluate import upscale
from sparsr.train.quality.metrics import psnr_y

TINY = ("data.patch=8", "data.batch=2", "data.holdout=1", "train.steps=2", "train.precision=float32")
SHORT = ("prune.keep=4", "prune.ssa_steps=1", "prune.granularity=0.3", "prune.stabilise_steps=1")


def command(*arguments):
    chosen = build_parser().parse_args([str(argument) for argument in arguments])
    assert not chosen.action(chosen)


def run(recipe, out, *settings):
    command("run", recipe, "--out", out, *(part for value in settings for part in ("--set", value)))
    return out / "best.safetensors"


def test_from_training_to_the_picture(workshop, tmp_path, capsys):
    pictures = workshop / "images"
    tiny = (*TINY, f'data.folders=["{pictures}"]')
    dense = run("cpu/ledsr96_x3", tmp_path / "dense", *tiny, "network.channels=8", "network.blocks=2", "network.start=")
    pruned = run("cpu/assln_x3", tmp_path / "pruned", *tiny, *SHORT, f"network.start={dense}")
    network, card = load_model(pruned)
    assert (card.scale, card.method, network.head[0].out_channels) == (3, "assl", 4)

    for path in list_images(pictures):
        write_image(tmp_path / f"LR/X3/{path.stem}x3.png", downscale(crop_to_multiple(read_image(path).rgb, 3), 3))
    command("eval", pruned, "--data", pictures, "--lr", tmp_path / "LR")
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("0.png")]
    lr, hr = (read_image(path).rgb for path in (tmp_path / "LR/X3/0x3.png", pictures / "0.png"))
    hr = hr[: 3 * lr.shape[0], : 3 * lr.shape[1]]
    assert float(shown[0].split()[1]) == pytest.approx(psnr_y(upscale(network, lr), hr, 3), abs=6e-4)

    export_model(pruned, tmp_path / "bundle", formats=("onnx", "native"), report=lambda line: None)
    for engine in ("native", "ort"):
        result = Upscaler(tmp_path / "bundle", engine)(lr)
        assert result.shape == (3 * lr.shape[0], 3 * lr.shape[1], 3)
        assert np.abs(result.astype(int) - upscale(network, lr)).max() <= 1
