"""Pruning methods on the official DMPHN(1-2-4) at equal multiply-adds: `python docs/results/deblurring.py --help`.

Every method learns from the dense network's output on blurred pictures, as `sparsr prune` does, for a few steps only.
What is made here is a yardstick: DMPHN's authors give no licence, and nothing of it is kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from sparsr.runtime.media.images import read_image
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork
from sparsr.train.pruning.settings import OneShotSettings, SrSteSettings
from sparsr.train.quality.complexity import macs
from sparsr.train.quality.evaluate import upscale
from sparsr.train.quality.metrics import psnr_rgb
from sparsr.train.run import checkpoint
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.prune import Order, recipe_for
from sparsr.train.run.recipe import Recipe

METHODS = ("one-shot", "SR-STE", "L1", "SLS")
_BASE = {"one-shot": "nm", "SR-STE": "nm", "L1": "channels", "SLS": "sls"}
_CROP = np.s_[200:296, 400:560]  # of which the authors' outputs are stored


def recipe_of(method: str, dense: Path, network: SRNetwork, order: Order) -> Recipe:
    """The method's run; SR-STE is the one-shot run with the mask chosen anew at every step."""
    recipe = recipe_for(network, dense, replace(order, method=_BASE[method]))
    if method == "SR-STE":
        assert isinstance(recipe.prune, OneShotSettings)
        recipe = replace(recipe, prune=SrSteSettings("sr_ste", recipe.prune.n, recipe.prune.m, recipe.prune.layers))
    return replace(recipe, train=replace(recipe.train, validate_every=10**6, save_every=10**6, log_every=10))


def quality(network: SRNetwork, gopro: Path) -> list[float]:
    """RGB PSNR in dB on a crop of each sample pair."""
    pairs = [(read_image(gopro / "blur" / path.name).rgb[_CROP], read_image(path).rgb[_CROP]) for path in
             sorted((gopro / "sharp").glob("*.png"))]  # fmt: skip
    return [psnr_rgb(upscale(network, blurred), sharp) for blurred, sharp in pairs]


def main() -> None:
    """Train what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("official", type=Path, help="folder of DMPHN(1-2-4)'s six files")
    parser.add_argument("--pictures", type=Path, required=True, help="blurred pictures to learn from")
    parser.add_argument("--gopro", type=Path, required=True, help="folder with blur/ and sharp/ to measure on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=0.4)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    network, card = load_model(options.official)
    dense = options.out / "dense.safetensors"
    checkpoint.save(dense, network, card)
    order = Order(options.budget, "sls", options.pictures, True, steps=options.steps, patch=options.patch,
                  batch=options.batch, lr=2e-4)  # fmt: skip
    whole = macs(network, 720, 1280)
    rows = {"dense": (1.0, quality(network, options.gopro))}
    for method in METHODS:
        out = options.out / method
        if not (out / "done").exists():
            with prepare(recipe_of(method, dense, network, order), out, out.exists(), "cpu") as run:
                train(run)
            (out / "done").touch()
        pruned, _ = checkpoint.load(out / "last.safetensors")
        rows[method] = (macs(pruned, 720, 1280, nonzero=True) / whole, quality(pruned, options.gopro))
        print(method, rows[method], flush=True)
    for name, (share, values) in rows.items():
        print(f"| {name} | {share:.3f} | {' | '.join(f'{v:.3f}' for v in values)} | {fmean(values):.3f} |")
    (options.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
