"""One search over widths and shared patterns within a budget of time, by successive halving (ours).

A candidate is a width of all channel groups and a number V of filters that share a pattern of N:M; N of its layers is
learned by SLS with measured costs, so that every candidate takes the same time. One more has no gates: as many channels
as the time allows. Halving: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter
optimization, 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import SHARED
from sparsr.train.networks import SRNetwork
from sparsr.train.pruning import budget as budgets
from sparsr.train.pruning import time_budget
from sparsr.train.pruning.channel_counts import Counts, scaled
from sparsr.train.pruning.channel_groups import channel_groups
from sparsr.train.pruning.l1 import narrowed
from sparsr.train.pruning.layer_costs import Costs
from sparsr.train.pruning.selection import considered
from sparsr.train.pruning.time_budget import CHANNEL_STEP, TimeBudget

WIDTHS = (1.0, 0.75, 0.5)
"""Shares of the channels that candidates with gates keep."""
_FIRST_SHARE = 1 / 16
"""Length of the first round's trainings, of the last training; every round's are twice as long as those before."""
_FIRST_STEPS = 250
"""They have at least so many steps: at first slimmed networks are behind those with gates, then catch up (RFDN-64 at
half its time: 1.7 dB behind in trainings of 100 steps, 0.1 dB ahead in those of 200)."""


@dataclass(frozen=True)
class Candidate:
    """What to prune before gates are learned, and how gates are learned, within one budget of time."""

    name: str
    channels: Counts
    """Kept units by channel group; those not named keep all."""
    shared: int = 0
    """V; 0: no gates."""
    share: float = 0.0
    """What SLS may keep of the time of the layers with gates."""
    table: dict[str, Any] = field(default_factory=dict)
    """SLS's costs, see `time_budget.share`."""


@dataclass(frozen=True)
class Round:
    """What trainings of one length gave."""

    steps: int
    psnr: dict[str, float]
    """Of every candidate on the held-out pictures, to the target, dB."""


def candidates(network: SRNetwork, budget: TimeBudget, costs: Costs, skip: Sequence[str]) -> list[Candidate]:
    """All that meet the budget, the one without gates last.

    Left out are widths that do not fill the budget, and those that exceed it with one weight in every group. Raises
    `SparsrError` if none is left.
    """
    found, reasons = [], []
    groups = considered(channel_groups(network), skip)
    for width in WIDTHS if groups else WIDTHS[:1]:
        counts = {} if width == 1 else scaled(groups, width, CHANNEL_STEP)
        narrow = narrowed(network, counts)
        for shared in SHARED:
            try:
                share, table = time_budget.share(narrow, budgets.group_size(narrow), shared, budget, costs)
            except SparsrError as error:
                reasons.append(error)
            else:
                found.append(Candidate(f"width{100 * width:g}_v{shared}", counts, shared, share, table))
    try:
        found.append(Candidate("channels", time_budget.widths(network, budget, costs, skip)))
    except SparsrError as error:
        reasons.append(error)
    if not found:
        raise reasons[0]
    return found


def best(
    names: Sequence[str], steps: int, train: Callable[[str, int], float], report: Callable[[str], None]
) -> tuple[str, list[Round]]:
    """The candidate that is to train for `steps`: after every round the better half goes on, in a longer training.

    train: trains a candidate anew for so many steps; the PSNR it reaches. Every training is whole, with a schedule of
    its own, because before its gates have closed a network says nothing about what it will be. Of equals the first
    stays.
    """
    left, rounds, length = list(names), list[Round](), max(_FIRST_STEPS, round(steps * _FIRST_SHARE))
    while len(left) > 1:
        length = min(length, steps)
        psnr = {name: train(name, length) for name in left}
        left = sorted(left, key=lambda name: -psnr[name])[: len(left) // 2]
        rounds.append(Round(length, psnr))
        told = ", ".join(f"{name} {value:.3f}" for name, value in sorted(psnr.items(), key=lambda item: -item[1]))
        report(f"after {length} steps, dB: {told}")
        length *= 2
    return left[0], rounds
