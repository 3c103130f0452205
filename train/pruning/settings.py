"""Settings of the pruning methods, as they stand in a recipe's `[prune]` table.

Defaults are the published ones (stage lengths, coefficients); recipes that shorten them say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class PruningSettings:
    """What every method needs to know: how much goes, and which layers are left alone."""

    method: str
    ratio: float = 0.0
    """Share of filters removed in every layer that is not skipped, 0 <= ratio < 1 (rounded up, ASSL's rule).
    GASSL: the one global ratio over all layers together."""
    keep: int = 0
    """Filters kept in every layer instead of a ratio; 0: use the ratio."""
    skip: list[str] = field(default_factory=lambda: ["tail*"])
    """Layers whose filters are never removed, as name patterns."""
    align: Literal["first", "mean"] = "first"
    """How the layers that write one residual stream agree on its channels. first: by the scores of the first
    layer (as published). mean: by the mean over these layers of scores divided by each layer's mean (ours)."""
    round_to: int = 4
    """Kept counts are rounded up to a multiple of this, because SIMD kernels like multiples (1: as published)."""
    layer_channels: dict[str, int] = field(default_factory=dict)
    """Kept counts forced for single layers, by name."""
    reinit: list[str] = field(default_factory=list)
    """Layers, as name patterns, that start fine-tuning from random weights."""


@dataclass(frozen=True)
class L1Settings(PruningSettings):
    """Filters with the smallest mean |weight| go at once; the baseline (Li et al., ICLR 2017)."""


@dataclass(frozen=True)
class AsslSettings(PruningSettings):
    """Aligned structured sparsity learning (Zhang et al., NeurIPS 2021)."""

    lr: float = 2e-4
    """Adam's step size in all pruning stages."""
    ssa_steps: int = 17_260
    ssa_weight: float = 1.0
    """Weight of the alignment penalty beside an L1 loss in units of 0..255."""
    interval: int = 20
    """Steps between two increments of the regularisation."""
    granularity: float = 1e-4
    """Increment of the coefficient."""
    limit: float = 0.5
    """A layer is finished when its largest coefficient exceeds this."""
    stabilise_steps: int = 43_150
    ratios_from: str = ""
    """A checkpoint pruned before: its kept counts per layer are taken instead of one ratio."""


@dataclass(frozen=True)
class GasslSettings(AsslSettings):
    """GASSL: HAIR finds the layers' ratios, then ASSL prunes with them."""

    hair_interval: int = 20
    hair_granularity: float = 1e-4
    hair_limit: float = 0.05
    interval: int = 30
    stabilise_steps: int = 86_300
    macs: float = 0.0
    """Instead of `ratio`: the share of the multiply-adds to keep; the global threshold is chosen to meet it (ours)."""


PRUNING_SETTINGS: dict[str, type[PruningSettings]] = {
    "l1": L1Settings,
    "assl": AsslSettings,
    "gassl": GasslSettings,
}
