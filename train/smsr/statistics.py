"""What sparse masks leave to compute: shares of pixels and channels, and multiply-adds counted in two ways.

The published formula charges sparsity as one mean over channels and pixels, for the 3x3 and 1x1 convolutions alike. The
true decomposition counts the products that the masks leave: where the mask is 0, only those from dense channels to
dense channels. It is the lower one, and what an engine executes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from sparsr.train.networks import SRNetwork
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.networks.sparse_masks import SparseMaskBlock
from sparsr.train.quality.complexity import gmacs_720p


@dataclass(frozen=True)
class Work:
    """Multiply-adds per pixel."""

    everywhere: int
    """From dense channels to dense channels."""
    total: int
    """At important pixels."""

    def mean(self, active: float) -> float:
        """Over an image of which the share `active` is important."""
        return self.everywhere + active * (self.total - self.everywhere)


def block_work(block: SparseMaskBlock) -> Work:
    """Of the block's 3x3 convolutions and the 1x1 convolution that joins them."""
    weights = list(block.body.parameters())
    outputs = block.dense_channels().sum(1).tolist()
    inputs = [weights[0].shape[1], *outputs[:-1]]
    everywhere = sum(w[0, 0].numel() * into * out for w, into, out in zip(weights, inputs, outputs, strict=True))
    everywhere += block.collect.out_channels * sum(outputs)
    return Work(everywhere, sum(weight.numel() for weight in [*weights, block.collect.weight]))


@dataclass(frozen=True)
class MaskStatistics:
    """For one image, or the mean over several; every list has one entry per masked block."""

    active: list[float]
    """Share of important pixels."""
    sparsity: list[float]
    """Share of values (layers, channels, pixels) that are not computed."""
    multiply_adds: list[float]
    """Share of the block's multiply-adds that is left (true decomposition)."""

    @property
    def mean_sparsity(self) -> float:
        """Over the blocks: the figure that SMSR's tables give."""
        return sum(self.sparsity) / len(self.sparsity)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self) | {"mean_sparsity": self.mean_sparsity}


def statistics(network: SRNetwork, masks: Sequence[Tensor]) -> MaskStatistics:
    """Of one image's spatial masks, bool [h, w] each, one per masked block of `network`."""
    blocks = mask_blocks(network)
    active = [float(mask.float().mean()) for mask in masks]
    dense = [float(block.dense_channels().float().mean()) for block in blocks]
    works = [block_work(block) for block in blocks]
    return MaskStatistics(
        active,
        [(1 - share) * (1 - important) for share, important in zip(dense, active, strict=True)],
        [work.mean(important) / work.total for work, important in zip(works, active, strict=True)],
    )


def mean_statistics(several: Sequence[MaskStatistics]) -> MaskStatistics:
    """Mean over images, each counting the same."""
    names = ("active", "sparsity", "multiply_adds")
    columns = ([getattr(one, name) for one in several] for name in names)
    return MaskStatistics(*([sum(block) / len(several) for block in zip(*column, strict=True)] for column in columns))


def published_formula_gmacs(network: SRNetwork, sparsity: float) -> float:
    """10^9 multiply-adds for a 1280x720 output as SMSR's tables count them, from the mean sparsity.

    The dense network's minus that share of all masked blocks; mask networks count in full.
    """
    masked = sum(block_work(block).total for block in mask_blocks(network))
    return gmacs_720p(network) - sparsity * masked * _pixels(network) / 1e9


def true_decomposition_gmacs(network: SRNetwork, active: Sequence[float]) -> float:
    """10^9 multiply-adds for a 1280x720 output that the masks leave; `active`: important pixels per masked block."""
    works = [block_work(block) for block in mask_blocks(network)]
    saved = sum(work.total - work.mean(share) for work, share in zip(works, active, strict=True))
    return gmacs_720p(network) - saved * _pixels(network) / 1e9


def _pixels(network: SRNetwork) -> float:
    """LR pixels of a 1280x720 output; a fraction for x3, as in the papers."""
    return 1280 * 720 / network.scale**2
