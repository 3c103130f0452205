"""A budget in milliseconds: what it leaves of gates and of channels, by costs measured on this machine (ours)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import Sparsity
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.channel_counts import removable, scaled, sizes, widest
from sparsr.train.pruning.layer_costs import Costs, layers_of, sparse_layers
from sparsr.train.pruning.nm import can_be_sparse

CHANNEL_STEP = 4
"""Kept channels are multiples of this, which the kernels' tiles like."""


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


def share(
    network: SRNetwork,
    m: int,
    shared: int,
    budget: TimeBudget,
    costs: Costs,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[float, dict[str, Any]]:
    """The share of the time of the layers with groups of `m` that the budget leaves, and SLS's table of their costs.

    What the others take is taken off first: convolutions that cannot be pruned, dense, on their cheapest kernel. Layers
    between convolutions are not counted. Raises `SparsrError` for a budget that needs no pruning or cannot be met.
    """
    size = budget.height, budget.width
    layers, gated = layers_of(network, *size), sparse_layers(network, m, *size)
    seconds = costs.table(gated, m, shared, report)
    others = costs.dense(layer for name, layer in layers.items() if name not in gated)
    dense, least = (sum(row[n] for row in seconds.values()) for n in (m, 1))
    report(
        f"convolutions at {budget.width}x{budget.height}: {1e3 * (dense + others):.1f} ms dense, of which "
        f"{1e3 * others:.1f} ms cannot be pruned"
    )
    _check(budget, dense + others)
    if budget.seconds <= least + others:
        raise SparsrError(
            f"{budget} cannot be met: one weight in {m} leaves {1e3 * (least + others):.1f} ms", "give a larger budget"
        )
    table = {"m": m, "shared": shared, "width": budget.width, "height": budget.height, "layers": seconds}
    return (budget.seconds - others) / dense, table


def widths(network: SRNetwork, budget: TimeBudget, costs: Costs, skip: Sequence[str]) -> dict[str, int]:
    """Channels to keep in every group that can lose some, so that the convolutions, all dense, meet the budget.

    All groups keep about the same share, in multiples of `CHANNEL_STEP`. Raises `SparsrError` as `share`, and if no
    channels could go.
    """
    groups = removable(network, skip)
    layers, convs = layers_of(network, budget.height, budget.width), convolutions(network)

    def seconds(counts: dict[str, int]) -> float:
        left = sizes(convs, groups, counts)
        return costs.dense(replace(layer, outputs=left[n][0], inputs=left[n][1]) for n, layer in layers.items())

    _check(budget, costs.dense(layers.values()))
    counts = widest(groups, seconds, budget.seconds, CHANNEL_STEP)
    if counts is None:
        least = seconds(scaled(groups, 0, CHANNEL_STEP))
        raise SparsrError(
            f"{budget} cannot be met: the fewest channels leave {1e3 * least:.1f} ms", "give a larger budget"
        )
    return counts


def spent(network: SRNetwork, budget: TimeBudget, costs: Costs, m: int | None, shared: int) -> float:
    """Seconds that the convolutions of a pruned network take by the costs.

    m: of the groups whose weights were pruned, the most that any group of a layer has; None: none were.
    """
    total = 0.0
    for name, layer in layers_of(network, budget.height, budget.width).items():
        conv, n = convolutions(network)[name], 0
        sparsity = None
        if m and can_be_sparse(conv, m):
            n = max(int(group.count_nonzero(1).max()) for group in conv.weight.detach().split(m, dim=1))
            sparsity = Sparsity(n, m, shared) if n < m else None
        total += layer.height * costs.row(layer, sparsity) if n or not sparsity else 0.0
    return total


def _check(budget: TimeBudget, dense: float) -> None:
    if budget.seconds >= dense:
        raise SparsrError(
            f"the dense network's convolutions take {1e3 * dense:.1f} ms, within {budget}", "no need to prune it"
        )
