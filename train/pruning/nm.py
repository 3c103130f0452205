"""N:M sparsity: of every M consecutive input channels, per filter and tap, at most N weights other than zero.

V consecutive filters may share one pattern (V:N:M, ours): a kernel then uses every value it loads V times.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import Sparsity
from sparsr.train.networks.weight_norm import merge_weight_norm
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.selection import matches


def ranks(weight: Tensor, m: int, shared: int = 1) -> Tensor:
    """Rank of every weight by magnitude within its group: uint8 [out, in, kh, kw], 0 for the largest.

    A group is `m` consecutive input channels at one output and tap (SLS, Oh et al., CVPR 2022); the last group may be
    smaller. Of equal weights the first ranks first. `shared` consecutive outputs have the same ranks, by the sum of
    their magnitudes (ours); the last ones may be fewer.
    """
    magnitudes = weight.detach().abs()
    if shared > 1:
        magnitudes = torch.stack([part.sum(0) for part in magnitudes.split(shared)])
    outputs, inputs, height, width = magnitudes.shape
    groups = -(-inputs // m)
    # Places beyond the last channel rank last: no magnitude is negative.
    padded = torch.full((outputs, groups * m, height, width), -1.0, device=weight.device)
    padded[:, :inputs] = magnitudes
    grouped = padded.view(outputs, groups, m, height, width)
    order = grouped.argsort(dim=2, descending=True, stable=True)
    places = torch.arange(m, device=weight.device).view(1, 1, m, 1, 1).expand_as(order)
    rank = torch.empty_like(order).scatter_(2, order, places)
    ranked = rank.view(outputs, groups * m, height, width)[:, :inputs].to(torch.uint8)
    return ranked.repeat_interleave(shared, 0)[: len(weight)]


def can_be_sparse(conv: nn.Conv2d, m: int) -> bool:
    """Whether SLS would prune the layer: at least one whole group of inputs, and not the one that makes the image."""
    return conv.in_channels // conv.groups >= m and conv.out_channels != 3


def prune_by_magnitude(
    network: nn.Module, sparsity: Sparsity, layers: Mapping[str, Sparsity | None] | None = None
) -> dict[str, Sparsity]:
    """Zero all but the largest N of M weights in place (one shot, no training); {layer: its sparsity}.

    `layers` overrides single layers: name pattern -> sparsity, or None to leave them dense; later patterns win. Layers
    with fewer than M inputs, and those that make the image, stay dense unless named. Weight normalisation is merged
    first. Raises `SparsrError` for a pattern that names no convolution.
    """
    merge_weight_norm(network)
    convs, chosen = convolutions(network), {}
    for pattern in layers or {}:
        if not any(matches(name, [pattern]) for name in convs):
            known = ", ".join(list(convs)[:8])
            raise SparsrError(f"no convolution is called {pattern}", f"this network has {known} ...")
    for name, conv in convs.items():
        own: Sparsity | None = sparsity if can_be_sparse(conv, sparsity.m) else None
        for pattern, override in (layers or {}).items():
            own = override if matches(name, [pattern]) else own
        if own and own.n < own.m:
            with torch.no_grad():
                conv.weight.mul_(ranks(conv.weight, own.m, own.shared) < own.n)
            chosen[name] = own
    return chosen
