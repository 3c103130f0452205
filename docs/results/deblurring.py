"""Pruning methods on a deblurring network at equal multiply-adds: `python docs/results/deblurring.py --help`.

Every method starts from the same trained network and has the same few steps on the same pairs.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sparsr.train.data.folders import same_size_pairs
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork
from sparsr.train.pruning.settings import OneShotSettings, SrSteSettings
from sparsr.train.quality.complexity import macs
from sparsr.train.quality.evaluate import measure_pairs, upscale
from sparsr.train.run import checkpoint
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.prune import Order, recipe_for
from sparsr.train.run.recipe import Recipe

METHODS = ("one-shot", "SR-STE", "L1", "SLS")
_BASE = {"one-shot": "nm", "SR-STE": "nm", "L1": "channels", "SLS": "sls"}


def recipe_of(method: str, dense: Path, network: SRNetwork, order: Order) -> Recipe:
    """The method's run; SR-STE is the one-shot run with the mask chosen anew at every step."""
    recipe = recipe_for(network, dense, replace(order, method=_BASE[method]))
    if method == "SR-STE":
        assert isinstance(recipe.prune, OneShotSettings)
        recipe = replace(recipe, prune=SrSteSettings("sr_ste", recipe.prune.n, recipe.prune.m, recipe.prune.layers))
    return replace(recipe, train=replace(recipe.train, validate_every=10**6, save_every=10**6, log_every=10))


def quality(network: SRNetwork | None, test: Path, every: int) -> float:
    """Mean RGB PSNR in dB over every so manieth pair; without a network that of the blurred pictures."""
    chosen = same_size_pairs(test)[::every]
    return measure_pairs(partial(upscale, network) if network else lambda picture: picture, chosen, 1).mean.psnr


def main() -> None:
    """Train what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, help="the trained dense network")
    parser.add_argument("--data", type=Path, required=True, help="pairs to train on")
    parser.add_argument("--test", type=Path, required=True, help="other pairs to measure on")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="measure on every N-th of them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=0.125)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    network, card = load_model(options.network)
    dense = options.out / "dense.safetensors"
    checkpoint.save(dense, network, card)
    order = Order(options.budget, "sls", options.data, steps=options.steps, patch=options.patch, batch=options.batch,
                  hr_share=1.0, precision="bfloat16")  # fmt: skip
    whole = macs(network, 720, 1280)
    rows = {name: (1.0, quality(model, options.test, options.every)) for name, model in
            (("blurred", None), ("dense", network))}  # fmt: skip
    for method in METHODS:
        out = options.out / method
        if not (out / "done").exists():
            with prepare(recipe_of(method, dense, network, order), out, out.exists(), "cpu") as run:
                train(run)
            (out / "done").touch()
        pruned, _ = checkpoint.load(out / "last.safetensors")
        share = macs(pruned, 720, 1280, nonzero=True) / whole
        rows[method] = (share, quality(pruned, options.test, options.every))
        print(method, rows[method], flush=True)
    for name, (share, psnr) in rows.items():
        print(f"| {name} | {share:.3f} | {psnr:.3f} |")
    (options.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
