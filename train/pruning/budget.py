"""What a share of a network's multiply-adds means for each method: N per layer, SLS's share, channels per group.

The share is of all convolution weights of the network, those that cannot be pruned included. It is met from below:
nothing more would fit.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import GROUP_SIZES
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.channel_counts import removable, scaled, sizes, widest
from sparsr.train.pruning.nm import can_be_sparse
from sparsr.train.pruning.settings import SlsSettings
from sparsr.train.pruning.sls import increments, read_costs, with_gates
from sparsr.train.pruning.sparse_conv import sparse_convolutions
from sparsr.train.quality.complexity import layer_macs

_SIDE = 48
"""Side of the picture multiply-adds are counted on; shares do not depend on it."""
_ENOUGH = 0.9
"""Share of the multiply-adds that a group size M must reach to be preferred to smaller ones."""


def parse(text: str) -> float:
    """A share from `1/4`, `0.25` or `25%`. Raises `SparsrError` unless it is above 0 and below 1."""
    try:
        percent = text.strip().endswith("%")
        share = float(Fraction(text.strip().removesuffix("%").strip())) / (100 if percent else 1)
    except (ValueError, ZeroDivisionError) as error:
        raise SparsrError(f"the budget {text!r} is no share", "for example 1/4, 0.25 or 25%") from error
    if not 0 < share < 1:
        raise SparsrError(f"the budget {text} does not lie between 0 and 1", "give the share to keep, for example 1/4")
    return share


def group_size(network: SRNetwork) -> int:
    """M of N:M sparsity: the largest that fits 9 of 10 multiply-adds, else the one that fits most.

    Raises `SparsrError` if no convolution has groups of any size.
    """
    macs, convs = layer_macs(network, _SIDE, _SIDE), convolutions(network)
    reach = {
        m: sum(count for name, count in macs.items() if name in convs and can_be_sparse(convs[name], m))
        for m in sorted(GROUP_SIZES, reverse=True)
    }
    if not any(reach.values()):
        raise SparsrError(
            "the network has no convolution to prune: none has 4 input channels",
            "N:M sparsity needs wider layers than these",
        )
    enough = [m for m, count in reach.items() if count >= _ENOUGH * sum(macs.values())]
    return enough[0] if enough else max(reach, key=lambda m: reach[m])


def sls_share(network: SRNetwork, m: int, share: float) -> float:
    """SLS's budget, of the layers with gates, that leaves `share` of the whole network's multiply-adds."""
    rank_costs, total = _rank_costs(network, m)
    gated = sum(sum(costs) for costs in rank_costs.values())
    least = sum(costs[0] for costs in rank_costs.values()) + total - gated
    if share * total < least:
        raise _too_small(share, least / total)
    return 1 - (1 - share) * total / gated


def weights_per_group(network: SRNetwork, m: int, share: float) -> dict[str, int]:
    """N of every layer with groups of M, as equal as it can be, for `share` of the whole network's multiply-adds."""
    rank_costs, total = _rank_costs(network, m)
    counts = dict.fromkeys(rank_costs, 1)
    left = share * total - total + sum(sum(costs[1:]) for costs in rank_costs.values())
    if left < 0:
        raise _too_small(share, share - left / total)
    for n in range(1, m):
        for name, costs in rank_costs.items():
            if counts[name] == n and costs[n] <= left:
                counts[name] += 1
                left -= costs[n]
    return counts


def table_group_size(path: Path, shared: int) -> int:
    """M of a table of measured costs for patterns of `shared` filters. Raises `SparsrError` if the file is none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        m, of = table["m"], table.get("shared", 1)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SparsrError(
            f"{path} is no table of costs ({error})", "measure one: sparsr train costs NET --out TABLE"
        ) from error
    if m not in GROUP_SIZES:
        raise SparsrError(f"{path} has costs for M = {m!r}", "measure them again with --m 32, 16, 8 or 4")
    if of != shared:
        raise SparsrError(
            f"{path} has costs of patterns shared by {of!r} filters, not {shared}",
            f"measure them again with --shared {shared}",
        )
    return int(m)


def time_share(network: SRNetwork, m: int, path: Path) -> float:
    """Time of the layers with groups of M by a table, as a share of the dense layers' time.

    N of a layer is the most weights other than zero in any of its groups. Raises `SparsrError` for a table of another
    network.
    """
    convs = sparse_convolutions(with_gates(network, m))
    costs = read_costs(path, convs)
    most = {
        name: max(int(group.count_nonzero(1).max()) for group in conv.weight.detach().split(m, dim=1))
        for name, conv in convs.items()
    }
    return sum(float(costs[name][n]) for name, n in most.items()) / sum(float(c[-1]) for c in costs.values())


def _rank_costs(network: SRNetwork, m: int) -> tuple[dict[str, list[float]], float]:
    """Multiply-adds of the weights of rank 0, 1, ... of every layer with groups of M, and of the whole network."""
    gated = with_gates(network, m)
    costs = increments(gated, SlsSettings("sls", m=m))
    assert costs.keys() == sparse_convolutions(gated).keys()
    return {name: steps.tolist() for name, steps in costs.items()}, float(sum(layer_macs(gated, _SIDE, _SIDE).values()))


def kept_channels(network: SRNetwork, share: float, skip: list[str]) -> dict[str, int]:
    """Channels to keep in every group that can lose some, by its name, for `share` of the multiply-adds.

    All groups keep about the same share of their channels. Raises `SparsrError` if there is nothing to remove, or not
    enough of it.
    """
    groups, convs = removable(network, skip), convolutions(network)
    macs = layer_macs(network, _SIDE, _SIDE)
    total = sum(macs.values())

    def cost(counts: dict[str, int]) -> float:
        left = sizes(convs, groups, counts)
        whole = {name: (conv.out_channels, conv.in_channels) for name, conv in convs.items()}
        return sum(macs.get(name, 0) * math.prod(left[name]) / math.prod(whole[name]) for name in convs)

    counts = widest(groups, cost, share * total)
    if counts is None:
        raise _too_small(share, cost(scaled(groups, 0)) / total)
    return counts


def _too_small(share: float, least: float) -> SparsrError:
    return SparsrError(
        f"a budget of {share:.4g} cannot be met: {least:.4g} of the multiply-adds are the least this method leaves",
        "give a larger budget, or another method",
    )
