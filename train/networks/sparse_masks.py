"""SMSR's sparse masks: where and in which channels a block of convolutions computes (Wang et al., CVPR 2021).

In evaluation the masks are 0 or 1 (the larger logit wins, a tie is 0). In training they are relaxed, drawn with Gumbel
noise, and both cases are one formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError

LAYERS = 4  # convolutions per block; the paper's L


@dataclass(frozen=True)
class Relaxation:
    """How the masks of one training step are drawn: a function of the seed, so that a resumed step repeats them."""

    temperature: float = 1.0
    seed: tuple[int, ...] = (0,)
    """Anything that tells this draw from all others: the run's seed, the step, the block."""
    rank: int = 0
    world: int = 1
    """This process's share of the batch: several processes together draw what one would."""

    def softmax(self, logits: Tensor, axis: int, shared: bool) -> Tensor:
        """Gumbel softmax (Jang et al., ICLR 2017), float32, over `axis` of `logits`.

        `shared`: all processes draw the same noise; otherwise the first axis is this process's part of the batch.
        """
        parts, part = (1, 0) if shared else (self.world, self.rank)
        generator = torch.Generator(logits.device)
        generator.manual_seed(int(np.random.SeedSequence([*self.seed, shared]).generate_state(1, np.uint64)[0]))
        shape = (parts * logits.shape[0], *logits.shape[1:])
        # A standard Gumbel variable is minus the logarithm of an exponential one, which is never 0.
        noise = -torch.empty(shape, device=logits.device).exponential_(generator=generator).log().chunk(parts)[part]
        return ((logits.float() + noise) / self.temperature).softmax(axis)


class MaskedConv2d(nn.Conv2d):
    """3x3 convolution without bias, of which a part is computed everywhere and the rest where a mask says."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, 1, 1, bias=False)

    def forward(self, x: Tensor, dense: Tensor, spatial: Tensor) -> Tensor:  # type: ignore[override]
        """x [n, c, h, w]; dense [c, c], each kernel's share in the part computed everywhere; spatial [n, 1, h, w]."""
        dense = dense[:, :, None, None]
        kernels = torch.cat([self.weight * dense, self.weight * (1 - dense)])
        everywhere, masked = F.conv2d(x, kernels, padding=1).chunk(2, dim=1)
        return torch.addcmul(everywhere, masked, spatial)


class SparseMaskBlock(nn.Module):
    """Convolutions of which each pixel and channel is computed only where needed, joined by a 1x1 convolution (SMB).

    Every layer has dense channels, computed everywhere, and sparse ones, computed where the spatial mask is 1; which is
    which does not depend on the image. Where the mask is 0 dense channels read only dense channels. So with D the
    kernels from dense to dense channels a layer is x' = relu(conv_D(x) + mask * conv_rest(x)): the paper's four cases
    in one. All channels of the block's input are dense.

    Called without logits the mask is 0 everywhere: sparse channels are never computed (the paper's ablation with
    channel masks only). With `channel` False all channels are sparse (its ablation with spatial masks only).
    """

    ch_mask: nn.Parameter | None
    """Logits [1, channels, layers, 2] of (dense, sparse); None without channel masks."""

    def __init__(self, channels: int, channel: bool = True) -> None:
        super().__init__()
        self.register_parameter("ch_mask", nn.Parameter(torch.rand(1, channels, LAYERS, 2)) if channel else None)
        self.body = nn.Sequential(*(MaskedConv2d(channels) for _ in range(LAYERS)))
        self.collect = nn.Conv2d(LAYERS * channels, channels, 1)
        self.relaxation: Relaxation | None = None
        """How masks are drawn in training; to be set before every step."""
        self.activity = torch.zeros(())
        """Share of layers, channels and pixels that was computed in the last forward pass, over its whole batch."""

    def dense_channels(self) -> Tensor:
        """The channel masks of evaluation: bool [layers, channels], True for channels computed everywhere."""
        if self.ch_mask is None:
            return torch.zeros(len(self.body), self.collect.out_channels, dtype=torch.bool)
        return (self.ch_mask[0, :, :, 0] > self.ch_mask[0, :, :, 1]).T

    def forward(self, features: Tensor, logits: Tensor | None = None) -> Tensor:
        """features [n, c, h, w], logits [n, 2, h, w] of (unimportant, important) -> [n, c, h, w].

        Without logits there are no important pixels.
        """
        spatial, channel = self._spatial_mask(features, logits), self._channel_masks().to(self.collect.weight)
        self.activity = channel.mean() + (1 - channel.mean()) * spatial.mean()
        x, previous, outputs = features, torch.ones_like(channel[0]), []
        for conv, own in zip(self.body, channel, strict=True):
            x = F.relu(conv(x, torch.outer(own, previous), spatial.to(x.dtype)))
            outputs.append(x)
            previous = own
        return self.collect(torch.cat(outputs, 1))

    def _spatial_mask(self, features: Tensor, logits: Tensor | None) -> Tensor:
        """float32 [n, 1, h, w] in 0..1; a single 0 without logits."""
        if logits is None:
            return torch.zeros(1, 1, 1, 1, device=features.device)
        if not self.training:
            return spatial_mask(logits).float()
        return self._draws().softmax(logits, 1, shared=False)[:, 1:]

    def _channel_masks(self) -> Tensor:
        """Of every layer, 1 for dense channels: [layers, channels] in 0..1."""
        if self.ch_mask is None or not self.training:
            return self.dense_channels()
        return self._draws().softmax(self.ch_mask, 3, shared=True)[0, :, :, 0].T

    def _draws(self) -> Relaxation:
        if self.relaxation is None:
            raise SparsrError(
                "sparse masks are drawn anew at every training step, but nothing says how",
                'train them with [prune] method = "smsr"',
            )
        return self.relaxation


def spatial_mask(logits: Tensor) -> Tensor:
    """bool [n, 1, h, w] from [n, 2, h, w]: True where the second logit, "important", is larger."""
    return logits[:, 1:] > logits[:, :1]
