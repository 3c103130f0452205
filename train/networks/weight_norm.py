"""Weight-normalised convolutions: the scale per filter that ASSL regularises (ASSL section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparsr.train.networks.base import ColourMap
from sparsr.train.networks.sparse_masks import MaskedConv2d
from sparsr.train.networks.widths import ConvCopy, conv_like, convolutions, replace_module

EPSILON = 1e-12


def filter_norms(weight: Tensor) -> Tensor:
    """L2 norm of every filter: [out, in, kh, kw] -> [out], at least `EPSILON`."""
    return weight.flatten(1).norm(dim=1).clamp_min(EPSILON)


class WeightNormConv2d(ConvCopy):
    """Convolution with filters wn_scale[o] * weight[o] / ||weight[o]||; the bias is not scaled."""

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__(plain)
        # Starting from the norms keeps the function of a trained layer.
        self.wn_scale = nn.Parameter(filter_norms(self.weight.detach()))
        self.to(plain.weight.device)

    def merged_weight(self) -> Tensor:
        """The filters actually applied: [out, in, kh, kw]."""
        return self.weight * (self.wn_scale / filter_norms(self.weight))[:, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Conv2d`, with the normalised filters."""
        return self._conv_forward(x, self.merged_weight(), self.bias)


def add_weight_norm(network: nn.Module) -> None:
    """Make every convolution weight-normalised, in place; the function does not change.

    Except for the mean shifts and the masked convolutions, which keep their channels.
    """
    for name, conv in convolutions(network).items():
        if not isinstance(conv, ColourMap | MaskedConv2d | WeightNormConv2d):
            replace_module(network, name, WeightNormConv2d(conv))


def merge_weight_norm(network: nn.Module) -> None:
    """Turn weight-normalised convolutions into plain ones with the same function, in place."""
    for name, conv in convolutions(network).items():
        if isinstance(conv, WeightNormConv2d):
            plain = conv_like(conv, conv.out_channels, conv.in_channels)
            with torch.no_grad():
                plain.weight.copy_(conv.merged_weight())
                if plain.bias is not None and conv.bias is not None:
                    plain.bias.copy_(conv.bias)
            replace_module(network, name, plain)
