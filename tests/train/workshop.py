"""Small recipes of every method, and runs of them."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from sparsr.train.run import checkpoint, recipe
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare

PRUNING = {
    "dense": {},
    "l1": {"method": "l1", "keep": 4},
    "assl": {"method": "assl", "ssa_steps": 3, "interval": 1, "granularity": 0.2, "stabilise_steps": 2, "keep": 4},
    "gassl": {
        "method": "gassl",
        "ratio": 0.5,
        "round_to": 1,
        "hair_interval": 1,
        "hair_granularity": 0.02,
        "ssa_steps": 2,
        "interval": 1,
        "granularity": 0.3,
        "stabilise_steps": 1,
    },
    "one_shot": {"method": "one_shot", "n": 2, "m": 4},
    "sr_ste": {"method": "sr_ste", "n": 1, "m": 8},
    # The budget is reached in the middle of the stage, the ranks change before and after.
    "sls": {
        "method": "sls",
        "m": 8,
        "budget": 0.4,
        "steps": 6,
        "cost_weight": 1.0,
        "anneal_every": 1,
        "update_every": 2,
        "score_gain": 100.0,
        "lr": 1e-3,
    },
}


def make_recipe(workshop: Path, method: str, steps: int = 4, **train_settings) -> recipe.Recipe:
    raw = {
        "name": method,
        "network": {"architecture": "ledsr", "scale": 2},
        "data": {"folders": [str(workshop / "images")], "patch": 8, "batch": 2, "holdout": 1},
        "train": {"steps": steps, "lr": 1e-3, "save_every": 1, "log_every": 1, "validate_every": 2, **train_settings},
    }
    if method == "dense":
        raw["network"] |= {"channels": 8, "blocks": 2}
    elif method == "smsr":
        raw["network"] |= {"architecture": "smsr", "channels": 8, "blocks": 2}
        raw["prune"] = {"method": "smsr", "warm_up_steps": 2, "cool_down_steps": 8}
    else:
        raw["network"]["start"] = str(workshop / "dense.safetensors")
        raw["prune"] = PRUNING[method]
    return recipe.parse(raw, "test")


def run_all(chosen: recipe.Recipe, out: Path, resume: bool = False, stop_at: int | None = None) -> None:
    """Train; with `stop_at`, die when that step asks for its batch."""
    with prepare(chosen, out, resume, "cpu") as run:
        if stop_at is not None:
            original = run.data.batch

            def dying(seed, step, *rest):
                if step == stop_at:
                    raise KeyboardInterrupt
                return original(seed, step, *rest)

            run.data.batch = dying  # type: ignore[method-assign]
        train(run)


def outcome(out: Path) -> tuple[dict[str, torch.Tensor], list[dict]]:
    network, _ = checkpoint.load(out / "last.safetensors")
    return network.state_dict(), [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def assert_same_weights(first: Path, second: Path) -> None:
    a, b = outcome(first)[0], outcome(second)[0]
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
