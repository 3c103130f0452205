"""Settings of the pruning methods, as they stand in a recipe's `[prune]` table.

Defaults are the published ones (stage lengths, coefficients); recipes that shorten them say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal


@dataclass(frozen=True)
class PruningSettings:
    """What is common to all methods."""

    start: ClassVar[Literal["trained", "optional", "built"]] = "trained"
    """The first network. trained: a recipe's `network.start`, as it is. optional: that if given, else one built with
    random weights. built: always one built, which takes over from `network.start` what fits."""

    method: str

    def check(self) -> None:
        """Raises `SparsrError`, naming the key, for values that make no sense."""


@dataclass(frozen=True)
class FilterSettings(PruningSettings):
    """What every method that removes filters needs to know: how much goes, and which layers are left alone."""

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
    group_channels: dict[str, int] = field(default_factory=dict)
    """Kept counts forced for whole channel groups, by name: a layer whose outputs are split writes several."""
    reinit: list[str] = field(default_factory=list)
    """Layers, as name patterns, that start fine-tuning from random weights."""


@dataclass(frozen=True)
class L1Settings(FilterSettings):
    """Filters with the smallest mean |weight| go at once; the baseline (Li et al., ICLR 2017)."""


@dataclass(frozen=True)
class AsslSettings(FilterSettings):
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


@dataclass(frozen=True)
class OneShotSettings(PruningSettings):
    """The largest N of M weights of the trained network stay, the mask is fixed, fine-tuning follows."""

    n: int = 4
    m: int = 32
    layers: dict[str, int] = field(default_factory=dict)
    """N of single layers, by name."""
    shared: int = 1
    """How many consecutive filters share one pattern: V of V:N:M (ours; 1, 2 or 4)."""


@dataclass(frozen=True)
class SrSteSettings(OneShotSettings):
    """SR-STE (Zhou et al., Learning N:M fine-grained structured sparse networks from scratch, ICLR 2021).

    As published from scratch; with `network.start` from a trained network.
    """

    start: ClassVar[Literal["trained", "optional", "built"]] = "optional"

    decay: float = 2e-4
    """How strongly weights outside of the mask are pulled to zero."""


@dataclass(frozen=True)
class SlsSettings(PruningSettings):
    """SLS, layer-wise N:M sparsity (Oh et al., Attentive fine-grained structured sparsity, CVPR 2022).

    A step of 1000 is an epoch of the paper. Where paper and released code differ, the paper's value is the default.
    """

    m: int = 32
    shared: int = 1
    """How many consecutive filters share one pattern: V of V:N:M (ours; 1, 2 or 4)."""
    group_channels: dict[str, int] = field(default_factory=dict)
    """Channels kept in groups, by name, before the gates are learned: those with the largest mean |weight| (ours)."""
    budget: float = 0.25
    """Share of the sparse layers' multiply-adds to keep, 0 < budget <= 1."""
    steps: int = 200_000
    """Length of the stage in which the budget is to be reached; what is left of it is fine-tuning already."""
    lr: float = 1e-4
    """Adam's step size in this stage."""
    cost_weight: float = 1e-10
    """Weight of the multiply-adds, at an LR patch of 48x48 pixels, beside an L1 loss in units of 0..255; the paper's
    lambda. The actual patch does not matter."""
    anneal: float = 1.1
    """Factor on that weight whenever the compression rate grew too slowly."""
    anneal_below: float = 0.1
    """Growth of the compression rate (dense cost / cost) that is too slow."""
    anneal_every: int = 2000
    """Steps over which the growth is looked at. (From the code; the paper does not say.)"""
    update_every: int = 1000
    """Steps after which the weights are ranked again."""
    renew_share: float = 1.0
    """Share of the fine-tuning, 0 to 1, in which they still are (published: all of it). A weight that comes back has
    the value it had when it went, which a step size falling to zero mends no more."""
    ordered: bool = True
    """Priorities are products of scores, so that gates shut from the last rank on."""
    score_gain: float = 1.0
    """Factor on the scores' gradient steps relative to the weights' (ours: short schedules need fast scores)."""
    exact: bool = False
    """Spend the whole budget and no more (ours): see `Sls.settle`. The published method stops below it, somewhere."""
    costs: str = ""
    """JSON file with measured costs per layer and N; then `budget` is a share of time, not of multiply-adds (ours)."""
