"""N:M sparsity: of every M consecutive input channels, per filter and tap, at most N weights other than zero.

V consecutive filters may share one pattern (V:N:M, ours): a kernel then uses every value it loads V times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks.weight_norm import merge_weight_norm
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.selection import matches

GROUP_SIZES = (4, 8, 16, 32)
"""The M the native engine packs."""
SHARED = (1, 2, 4)
"""How many filters may share one pattern: V."""


@dataclass(frozen=True)
class Sparsity:
    """At most `n` weights other than zero of every `m` consecutive input channels, the same for `shared` filters."""

    n: int
    m: int
    shared: int = 1
    """V: how many consecutive filters share one pattern."""

    def __str__(self) -> str:
        return f"{self.n}:{self.m}" + (f"x{self.shared}" if self.shared > 1 else "")

    @classmethod
    def parse(cls, text: str) -> Sparsity:
        """From `N:M` or `N:MxV`. Raises `SparsrError` unless M is 4, 8, 16 or 32, 1 <= N <= M and V is 1, 2 or 4."""
        found = re.fullmatch(r"(\d{1,2}):(\d{1,2})(?:x(\d))?", text.strip())
        n, m, shared = (int(found[1]), int(found[2]), int(found[3] or 1)) if found else (0, 0, 0)
        if m not in GROUP_SIZES or not 1 <= n <= m or shared not in SHARED:
            raise SparsrError(
                f"{text!r} is not a sparsity N:M",
                "for example 4:32, or 4:32x4 for patterns shared by 4 filters; M is 4, 8, 16 or 32, N at most M",
            )
        return cls(n, m, shared)


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
