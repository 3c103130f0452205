"""Physical removal of channels (`slim`), and what defines it: the same filters set to zero (`mask`)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks.base import SRNetwork
from sparsr.train.networks.weight_norm import WeightNormConv2d, filter_norms
from sparsr.train.networks.widths import conv_like, convolutions, prelu_like, replace_module, slopes
from sparsr.train.pruning.channel_groups import ChannelGroup, channel_groups

Kept = Mapping[str, Sequence[int]]
"""Units to keep per channel group, by the group's name; groups not named keep all."""


def slim(network: SRNetwork, kept: Kept) -> SRNetwork:
    """A new network with physically smaller convolutions, equal to `mask(network, kept)` in function.

    Indices are sorted ascending in both directions; biases and weight-norm scales follow their filters.
    `network` is left as it is. Raises `SparsrError` for an unknown group, an impossible index, a group that
    cannot be pruned, or a grouped convolution whose groups would keep different counts.
    """
    groups = channel_groups(network)
    units = _checked(groups, kept)
    outputs: dict[str, list[int]] = {}
    inputs: dict[str, list[int]] = {}
    kept_slopes: dict[str, list[int]] = {}
    slimmed = copy.deepcopy(network)
    for group in groups:
        for name in group.writers:
            outputs.setdefault(name, []).extend(i for unit in units[group.name] for i in group.filters(name)[unit])
        for name in group.readers:
            inputs.setdefault(name, []).extend(i for unit in units[group.name] for i in group.channels(name)[unit])
    for name, conv in convolutions(network).items():
        out_kept = sorted(outputs.get(name, range(conv.out_channels)))
        in_kept = sorted(inputs.get(name, range(conv.in_channels)))
        if (len(out_kept), len(in_kept)) != (conv.out_channels, conv.in_channels):
            replace_module(slimmed, name, _sliced(name, conv, out_kept, in_kept))
    for group in groups:
        for name, places in group.slope_channels.items():
            kept_slopes.setdefault(name, []).extend(i for unit in units[group.name] for i in places[unit])
    for name, prelu in slopes(network).items():
        indices = sorted(kept_slopes.get(name, range(prelu.num_parameters)))
        if len(indices) != prelu.num_parameters:
            replace_module(slimmed, name, prelu_like(prelu, prelu.weight.detach()[indices]))
    return slimmed


def mask(network: SRNetwork, kept: Kept) -> SRNetwork:
    """A copy of `network` with the removed filters (weight, bias, weight-norm scale) set to zero."""
    groups = channel_groups(network)
    units = _checked(groups, kept)
    masked = copy.deepcopy(network)
    convs = convolutions(masked)
    for group in groups:
        removed = sorted(set(range(group.size)) - set(units[group.name]))
        for name in group.writers:
            rows = [i for unit in removed for i in group.filters(name)[unit]]
            for parameter in convs[name].parameters(recurse=False):  # each has the filters as first dimension
                with torch.no_grad():
                    parameter[rows] = 0.0
    return masked


def _checked(groups: Sequence[ChannelGroup], kept: Kept) -> dict[str, list[int]]:
    """Sorted kept units of every group."""
    known = {group.name: group for group in groups}
    for name, units in kept.items():
        if name not in known:
            raise SparsrError(f"the network has no channel group {name}", f"its groups: {', '.join(known)}")
        group, wanted = known[name], set(units)
        if not wanted or len(wanted) != len(units) or min(wanted) < 0 or max(wanted) >= group.size:
            raise SparsrError(
                f"channel group {name} cannot keep units {sorted(units)[:8]}...",
                f"its units are 0..{group.size - 1}",
            )
        if len(wanted) < group.size and group.reason:
            raise SparsrError(f"channel group {name} cannot be pruned: {group.reason}", "keep all of it")
    return {name: sorted(kept.get(name, range(group.size))) for name, group in known.items()}


def _sliced(name: str, conv: nn.Conv2d, outputs: list[int], inputs: list[int]) -> nn.Conv2d:
    """`conv` with only those output filters and input channels."""
    weight = torch.cat(
        [
            conv.weight.detach()[out_block][:, in_block]
            for out_block, in_block in zip(
                _by_group(name, outputs, conv.out_channels, conv.groups, 0),
                _by_group(name, inputs, conv.in_channels, conv.groups, conv.in_channels // conv.groups),
                strict=True,
            )
        ]
    )
    sliced = conv_like(conv, len(outputs), len(inputs))
    if isinstance(conv, WeightNormConv2d):
        sliced = WeightNormConv2d(sliced)
    with torch.no_grad():
        sliced.weight.copy_(weight)
        if sliced.bias is not None and conv.bias is not None:
            sliced.bias.copy_(conv.bias[outputs])
        if isinstance(sliced, WeightNormConv2d) and isinstance(conv, WeightNormConv2d):
            # The norm runs over the input channels: without this the remaining weights would grow.
            remaining = filter_norms(weight) / filter_norms(conv.weight)[outputs]
            sliced.wn_scale.copy_(conv.wn_scale[outputs] * remaining)
    for key, parameter in sliced.named_parameters(recurse=False):
        parameter.requires_grad_(getattr(conv, key).requires_grad)
    return sliced.train(conv.training).to(conv.weight.dtype)


def _by_group(name: str, indices: list[int], size: int, groups: int, rebase: int) -> list[list[int]]:
    """Indices by group of a grouped convolution, `rebase` subtracted once per group before."""
    block = size // groups
    parts = [[i - g * rebase for i in indices if i // block == g] for g in range(groups)]
    if len({len(part) for part in parts}) > 1:
        counts = ", ".join(str(len(part)) for part in parts)
        raise SparsrError(
            f"convolution {name} cannot be sliced: its {groups} groups would keep {counts} channels",
            "keep equally many in every group (sparsr.train.pruning.slimming.selected does)",
        )
    return parts


def round_up(count: int, multiple: int, size: int) -> int:
    """`count` rounded up to a multiple of `multiple`, at most `size`."""
    return min(size, math.ceil(count / multiple) * multiple)


def selected(group: ChannelGroup, scores: Sequence[float], count: int, multiple: int = 4) -> tuple[int, ...]:
    """The units to keep: the `count` (rounded up to `multiple`) with the highest scores, ascending.

    scores: one per unit. Every block keeps equally many, so the count may grow further.
    Ties go to the lower index. Raises `SparsrError` for a wrong number of scores or an impossible count.
    """
    if len(scores) != group.size or not 0 < count <= group.size:
        raise SparsrError(f"channel group {group.name} has {group.size} units, asked for {count} of {len(scores)}")
    blocks = len(group.blocks)
    share = round_up(count, math.lcm(multiple, blocks), group.size) // blocks
    best = [sorted(block, key=lambda unit: -scores[unit])[:share] for block in group.blocks]
    return tuple(sorted(unit for block in best for unit in block))
