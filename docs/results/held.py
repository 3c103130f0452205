"""Train a pruned network on with its pattern as it is, towards its dense network: `python docs/results/held.py --help`.

For networks pruned before `sparsr prune` held patterns itself, and to see what more steps give.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from sparsr.train.quality.comparison import kept_weights
from sparsr.train.run import checkpoint
from sparsr.train.run.distillation import as_teacher, output_of
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.prune import Order, recipe_for
from sparsr.train.run.recipe import Recipe


def recipe_of(pruned: Path, order: Order, lr: float) -> Recipe:
    """The run that keeps the largest N weights of every group, as many as there are, and so those that there are."""
    network, card = checkpoint.load(pruned)
    settings = card.training["recipe"]["prune"]
    m = settings["m"]
    recipe = recipe_for(network, pruned, replace(order, method="nm"))
    assert recipe.prune is not None
    layers = kept_weights(network, m)
    return replace(
        recipe,
        prune=replace(recipe.prune, m=m, shared=settings["shared"], layers=layers),
        train=replace(recipe.train, lr=lr),
    )


def main() -> None:
    """Train, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pruned", type=Path)
    parser.add_argument("dense", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--patch", type=int, default=32, help="side of a patch in input pixels")
    parser.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--seed", type=int, default=1, help="another gives other patches")
    parser.add_argument("--hr", type=float, default=0.0, help="share of the loss against the pictures themselves")
    options = parser.parse_args()
    torch.set_num_threads(1)
    order = Order(0.5, "nm", options.data, hr_share=options.hr, steps=options.steps, patch=options.patch,
                  precision=options.precision, seed=options.seed)  # fmt: skip
    recipe = recipe_of(options.pruned, order, options.lr)
    with prepare(recipe, options.out, (options.out / "state.pt").exists(), "cpu") as run:
        teacher = as_teacher(checkpoint.load(options.dense)[0])
        run.teacher = teacher
        if run.learns_from_teacher_alone:
            run.holdout = [(lr, output_of(teacher, lr[None])[0].clamp(0, 255).round().byte()) for lr, _ in run.holdout]
        train(run)


if __name__ == "__main__":
    main()
