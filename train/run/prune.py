"""`sparsr prune`: from a trained network and pictures alone to a pruned one, by self-distillation (ours).

The target is the dense network's own output, so no training recipe, degradation model or HR is needed. The run itself
is an ordinary recipe: the same loop trains it, resumes it and writes its log.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import sha256, write_text
from sparsr.runtime.media.images import list_images, write_image
from sparsr.train.data.folders import same_size_pairs
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.pruning import budget as budgets
from sparsr.train.pruning import search, time_budget
from sparsr.train.pruning.l1 import narrowed
from sparsr.train.pruning.layer_costs import Costs
from sparsr.train.pruning.search import Candidate
from sparsr.train.pruning.settings import FilterSettings
from sparsr.train.pruning.time_budget import TimeBudget
from sparsr.train.quality.complexity import layer_macs, macs
from sparsr.train.quality.evaluate import psnr_of, upscale
from sparsr.train.run import checkpoint
from sparsr.train.run.loop import Run, train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.recipe import Recipe, parse
from sparsr.train.run.state import STATE_NAME
from sparsr.train.run.trials import TRIALS, Trials

Reader = Callable[[Path], tuple[SRNetwork, checkpoint.Card]]

METHODS = ("sls", "nm", "channels", "search")
LEAST_STEPS = 1000
"""Below this many steps a result is not called pruned: without training, networks lose 5 to 10 dB."""
_COUNTED_SIDE = 48
_GATE_SHARE = 0.4
"""Share of the steps in which SLS learns its gates."""
_GATE_STEPS = 550
"""The number of such steps that the constants below belong to (recipes compare/rfdn_sls)."""
_RENEW_SHARE = 0.5
"""Share of SLS's fine-tuning in which weights may still change places."""
_HELD_OUT = 8
_PRUNED = "pruned.safetensors"
_COSTS = "costs.json"
"""What was measured for a budget of time, see `Costs`."""
_SKIPPED = FilterSettings("l1").skip
"""Layers that keep all their filters."""


@dataclass(frozen=True)
class Order:
    """What to prune, how far and how long."""

    budget: float
    """Share of the multiply-adds of the dense network, or with `costs` of its time, above 0 and below 1."""
    method: str
    """One of `METHODS`."""
    pictures: Path
    unlabelled: bool = False
    """The pictures are network inputs as they are; otherwise inputs are made of them by shrinking, or at scale 1 they
    are pairs (`same_size_pairs`)."""
    costs: str = ""
    """Table of measured costs (`sparsr train costs`) for SLS: the budget is a share of these layers' time."""
    shared: int = 1
    """How many consecutive filters share one pattern of N:M."""
    hr_share: float = 0.0
    """Share of the loss that compares with the pictures themselves."""
    perceptual: float = 0.0
    """Share of the rest by structure and detail, 0 to below 1: for generators trained to look right."""
    steps: int = 6000
    patch: int = 32
    batch: int = 8
    precision: str = "float32"
    """"bfloat16" for what is between the layers that touch colours; the teacher computes in float32."""
    within: TimeBudget | None = None
    """What the convolutions may take on this machine, not for `nm`: `budget`, `costs` and `channels` follow from it."""
    channels: dict[str, int] = field(default_factory=dict)
    """Kept channels by group: for `channels` instead of a budget, for `sls` before it learns gates."""
    lr: float = 4e-4
    seed: int = 1


def recipe_for(network: SRNetwork, dense: Path, order: Order) -> Recipe:
    """The run that prunes `network`, stored as `dense`. Raises `SparsrError` if network or budget forbid it."""
    if mask_blocks(network):
        raise SparsrError("a network with learned masks is pruned already", "give the one without masks")
    pictures = len(list_images(order.pictures, recursive=True))
    if pictures < 2:
        raise SparsrError(f"{order.pictures} holds {pictures} pictures", "give at least 2: one is held out")
    gate_steps = round(order.steps * _GATE_SHARE) if order.method == "sls" else 0
    raw = {
        "name": f"prune {network.architecture} to {order.budget:g} by {order.method}",
        "seed": order.seed,
        "network": {"architecture": network.architecture, "scale": network.scale, "start": str(dense)},
        "data": {
            "folders": [str(order.pictures)],
            "unlabelled": _inputs_alone(network, order),
            "patch": max(order.patch, network.minimum_size),
            "batch": order.batch,
            "holdout": min(_HELD_OUT, max(1, pictures // 10)),
        },
        "train": {
            "steps": order.steps - gate_steps,
            "lr": order.lr,
            "schedule": "cosine",
            "precision": order.precision,
            "validate_every": max(1, order.steps // 12),
            "save_every": max(1, min(500, order.steps // 12)),
        },
        "prune": _method_table(network, order, gate_steps),
        "distill": {"share": 1 - order.hr_share, "perceptual": order.perceptual},
    }
    return parse(raw, "sparsr prune")


def _inputs_alone(network: SRNetwork, order: Order) -> bool:
    """Whether nothing is to be made of the pictures: at scale 1 those without targets are inputs as they are."""
    if order.unlabelled or network.scale > 1:
        return order.unlabelled
    try:
        same_size_pairs(order.pictures)
    except SparsrError:
        if order.hr_share:
            raise
        return True
    return False


def _method_table(network: SRNetwork, order: Order, gate_steps: int) -> dict[str, Any]:
    if order.method == "channels":
        counts = order.channels or budgets.kept_channels(network, order.budget, _SKIPPED)
        return {"method": "l1", "align": "mean", "round_to": 1, "group_channels": counts}
    network = narrowed(network, order.channels)
    m = budgets.table_group_size(Path(order.costs), order.shared) if order.costs else budgets.group_size(network)
    if order.method == "nm":
        return {
            "method": "one_shot",
            "m": m,
            "shared": order.shared,
            "layers": budgets.weights_per_group(network, m, order.budget),
        }
    if order.costs:
        budgets.time_share(network, m, Path(order.costs))  # the table must fit before hours are spent on it
    stretch = gate_steps / _GATE_STEPS
    dense_cost = sum(layer_macs(network, _COUNTED_SIDE, _COUNTED_SIDE).values())
    return {
        "method": "sls",
        "m": m,
        "shared": order.shared,
        "group_channels": order.channels,
        "budget": order.budget if order.costs else budgets.sls_share(network, m, order.budget),
        "costs": order.costs,
        "exact": True,
        "steps": gate_steps,
        "lr": order.lr,
        "cost_weight": 1.0 / dense_cost,
        "anneal": 1.3,
        "anneal_below": 0.5,
        "anneal_every": max(1, round(20 * stretch)),
        "update_every": max(1, round(50 * stretch)),
        "renew_share": _RENEW_SHARE,
        "score_gain": max(1.0, 8.0 / stretch),
    }


def prune(
    path: Path, order: Order, out: Path, resume: bool = False, device: str = "auto", read: Reader = load_model
) -> Path:
    """Prune the network in `path` and leave everything in `out`; the pruned checkpoint's path.

    `read` makes a network and its card of `path`.

    `out` gets the dense network as it was read, log and state, and at the very end `pruned.safetensors`, its card
    with what was lost, and a picture of before and after. Raises `SparsrError` for input that cannot be used.
    """
    network, card = read(path)
    dense = out / "dense.safetensors"
    orders = _orders(order, network, out)

    def recipe(name: str, steps: int) -> Recipe:
        return recipe_for(network, dense, replace(orders[name], steps=steps))

    for name in orders:
        recipe(name, order.steps)  # what is wrong with an order is said before anything is trained
    _keep_dense(path, network, card, dense, resume)
    _say(f"training for {order.steps} steps; the result is written when they are done")
    chosen, rounds = search.best(list(orders), order.steps, Trials(out, recipe, device), _say)
    with prepare(recipe(chosen, order.steps), out, resume, device) as run:
        train(run)
        if run.team.leads:
            searched = {"chosen": chosen, "rounds": [asdict(one) for one in rounds]} if rounds else {}
            _finish(path, orders[chosen], run, searched)
    return out / _PRUNED


def _orders(order: Order, network: SRNetwork, out: Path) -> dict[str, Order]:
    """The order, or with a budget of time those that meet it, by name: one but for a search.

    What was measured stays in `out` for a resumed run.
    """
    if order.within is None:
        return {order.method: order}
    costs = Costs(out / _COSTS)
    if order.method == "search":
        found = search.candidates(network, order.within, costs, _SKIPPED)
    elif order.method == "channels":
        found = [Candidate("channels", time_budget.widths(network, order.within, costs, _SKIPPED))]
    else:
        m = budgets.group_size(network)
        share, table = time_budget.share(network, m, order.shared, order.within, costs, _say)
        found = [Candidate("sls", {}, order.shared, share, table)]
    costs.save()
    return {candidate.name: _order_of(candidate, order, out) for candidate in found}


def _order_of(candidate: Candidate, order: Order, out: Path) -> Order:
    if not candidate.shared:
        return replace(order, method="channels", channels=candidate.channels)
    table = out / f"costs_{candidate.name}.json"
    write_text(table, json.dumps(candidate.table) + "\n")
    return replace(
        order,
        method="sls",
        channels=candidate.channels,
        shared=candidate.shared,
        budget=candidate.share,
        costs=str(table.resolve()),
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _keep_dense(path: Path, network: SRNetwork, card: checkpoint.Card, stored: Path, resume: bool) -> None:
    """Store the dense network as a checkpoint of ours, which a resumed run must find unchanged."""
    if resume and stored.is_file():
        before = checkpoint.load(stored)[0].state_dict()
        now = network.state_dict()
        if before.keys() != now.keys() or any(not torch.equal(before[key], now[key]) for key in now):
            raise SparsrError(
                f"{path} is not the network that {stored.parent} was started with", "choose another --out"
            )
        return
    if not resume and any((stored.parent / name).exists() for name in (STATE_NAME, TRIALS, _PRUNED)):
        raise SparsrError(
            f"{stored.parent} already holds a run", "add --resume to continue it, or choose another --out"
        )
    checkpoint.save(stored, network, card)  # over that of a run that could not begin, too


def _finish(path: Path, order: Order, run: Run, searched: dict[str, Any]) -> None:
    """Measure what was lost; write the checkpoint under its final name, and the picture."""
    dense = checkpoint.load(run.out / "dense.safetensors")[0]
    pruned, card = checkpoint.load(run.out / "best.safetensors")
    before, after = (macs(network, _COUNTED_SIDE, _COUNTED_SIDE, nonzero=True) for network in (dense, pruned))
    whole = macs(dense, _COUNTED_SIDE, _COUNTED_SIDE)
    lost: dict[str, Any] = {
        "from": path.name,
        "sha256": sha256(path),
        "budget": order.budget,
        "multiply_adds": round(after / whole, 5),
        "held_out_pictures": len(run.data.validation),
    } | _quality(dense, pruned, run.data.validation)
    if searched:
        lost["search"] = searched
    if order.within:
        m = budgets.table_group_size(Path(order.costs), order.shared) if order.costs else None
        seconds = time_budget.spent(pruned, order.within, Costs(run.out / _COSTS), m, order.shared)
        lost["milliseconds"] = round(1e3 * seconds, 3)
        print(f"convolutions by their costs: {1e3 * seconds:.2f} ms (asked for {order.within})")
    elif order.costs:
        m = budgets.table_group_size(Path(order.costs), order.shared)
        lost["time"] = round(budgets.time_share(pruned, m, Path(order.costs)), 5)
        print(f"time of the layers with gates, by the table: {lost['time']:.4f} (asked for {order.budget:.4f})")
    if before < whole:
        lost["multiply_adds_before"] = round(before / whole, 5)
    checkpoint.save(run.out / _PRUNED, pruned, replace(card, training=card.training | {"pruned_from": lost}))
    write_image(run.out / "before_after.png", _side_by_side(dense, pruned, _pixels(run.data.validation[0][0])))
    asked = "" if order.costs or order.within else f" (asked for {order.budget:.4f})"
    print(f"multiply-adds: {lost['multiply_adds']:.4f} of the dense network's{asked}")
    print(f"held-out pictures: {lost['psnr_to_dense']:.2f} dB to the dense network's output")
    if "psnr_dense" in lost:
        print(f"  against HR: dense {lost['psnr_dense']:.2f} dB, pruned {lost['psnr_pruned']:.2f} dB")


def _quality(dense: SRNetwork, pruned: SRNetwork, pairs: list[tuple[Tensor, Tensor | None]]) -> dict[str, float]:
    """PSNR in dB of the pruned network to the dense one, and of both to HR where there is one."""
    values: dict[str, list[float]] = {"psnr_to_dense": [], "psnr_dense": [], "psnr_pruned": []}
    for lr, hr in pairs:
        images = [upscale(network, _pixels(lr)) for network in (dense, pruned)]
        values["psnr_to_dense"].append(psnr_of(images[1], images[0], dense.scale))
        if hr is not None:
            for key, image in zip(("psnr_dense", "psnr_pruned"), images, strict=True):
                values[key].append(psnr_of(image, _pixels(hr), dense.scale))
    # Equal pictures have an infinite PSNR, which JSON cannot hold.
    return {key: round(min(fmean(numbers), 999.0), 4) for key, numbers in values.items() if numbers}


def _pixels(image: Tensor) -> Any:
    return image.permute(1, 2, 0).cpu().numpy()


def _side_by_side(dense: SRNetwork, pruned: SRNetwork, lr: Any) -> Any:
    """uint8 [h, 3w, 3]: the dense network's picture, the pruned one's, and eight times their difference around grey."""
    before, after = upscale(dense, lr), upscale(pruned, lr)
    difference = (after.astype(np.int16) - before) * 8 + 128
    return np.concatenate([before, after, difference.clip(0, 255).astype(np.uint8)], axis=1)
