"""A budget in milliseconds: what share of the layers SLS prunes it leaves, by this machine's table of costs (ours)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.train.networks import SRNetwork
from sparsr.train.pruning.layer_costs import layers_of, measure_layers, seconds_of, sparse_layers


@dataclass(frozen=True)
class TimeBudget:
    """What all convolutions of a network may take of one thread of this machine, for an input of that size."""

    seconds: float
    width: int
    height: int

    def __str__(self) -> str:
        return f"{1e3 * self.seconds:g}ms@{self.width}x{self.height}"


def parse(text: str) -> TimeBudget | None:
    """From `12ms@320x180`; None if it is no time. Raises `SparsrError` for a time without a size, or of nothing."""
    if "ms" not in text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)ms@(\d{1,5})x(\d{1,5})", text.strip())
    if not found or not float(found[1]) or not int(found[2]) * int(found[3]):
        raise SparsrError(f"the budget {text!r} is no time at a size", "for example 12ms@320x180, the input's pixels")
    return TimeBudget(float(found[1]) / 1e3, int(found[2]), int(found[3]))


def share(network: SRNetwork, m: int, budget: TimeBudget, table: Path, report: Callable[[str], None]) -> float:
    """The share of the time of the layers with groups of `m` that the budget leaves; `table` is measured if missing.

    What the others take is taken off first: convolutions that cannot be pruned, dense, on their cheapest kernel. Layers
    between convolutions are not counted. Raises `SparsrError` for a budget that needs no pruning or cannot be met.
    """
    size = budget.height, budget.width
    layers = layers_of(network, *size)
    gated = sparse_layers(network, m, *size)
    if table.exists():
        costs = json.loads(table.read_text(encoding="utf-8"))
    else:
        costs = {"m": m, "width": budget.width, "height": budget.height, "layers": measure_layers(gated, m, report)}
        costs["others"] = sum(
            layer.height * seconds_of(layer, None) for name, layer in layers.items() if name not in gated
        )
    dense, least = (sum(seconds[n] for seconds in costs["layers"].values()) for n in (m, 1))
    others = float(costs["others"])
    report(
        f"convolutions at {budget.width}x{budget.height}: {1e3 * (dense + others):.1f} ms dense, of which "
        f"{1e3 * others:.1f} ms cannot be pruned"
    )
    if budget.seconds >= dense + others:
        raise SparsrError(
            f"the dense network's convolutions take {1e3 * (dense + others):.1f} ms, within {budget}",
            "no need to prune it",
        )
    if budget.seconds <= least + others:
        raise SparsrError(
            f"{budget} cannot be met: one weight in {m} leaves {1e3 * (least + others):.1f} ms", "give a larger budget"
        )
    write_text(table, json.dumps(costs) + "\n")
    return (budget.seconds - others) / dense
