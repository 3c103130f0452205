"""Convolutions whose weights pass gates by their rank in their group of M inputs: how N:M sparsity is learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import GROUP_SIZES, SHARED
from sparsr.train.networks.widths import ConvCopy, conv_like, convolutions, replace_module
from sparsr.train.pruning.nm import can_be_sparse, ranks

HIGHEST_SCORE = 1.03  # where the authors' code clamps; the paper says 1


class SparseConv2d(ConvCopy):
    """Convolution of weights times gates; a gate per rank, open or shut for the whole layer (SLS, section 3.2).

    Rank 0 is the largest weight of a group and always passes. The gate of rank i opens if the priority
    p_i = k_1 * ... * k_i of clamped scores k is above 1/2, so a lower rank rarely passes without the higher ones, and
    the number of open gates is N. Ranks are kept as a byte per weight: never a mask per rank.
    """

    rank: Tensor
    """uint8 [out, in, kh, kw]; of the weights when `update_ranks` was last called."""
    dense_gradient: Tensor
    """bool []; True if shut weights are trained by the gradient they would have if open (SR-STE)."""
    ordered: Tensor
    """bool []; False if each score is its own priority (SLS's ablation without priority order)."""
    gain: Tensor
    """float32 []; how much faster than the stored scores the scores k move: k = 1 + gain * (score - 1)."""

    def __init__(self, plain: nn.Conv2d, m: int, shared: int = 1) -> None:
        super().__init__(plain)
        self.m, self.shared = m, shared
        self.scores = nn.Parameter(torch.ones(m - 1))
        self.register_buffer("rank", ranks(self.weight, m, shared))
        self.register_buffer("dense_gradient", torch.tensor(False))
        self.register_buffer("ordered", torch.tensor(True))
        self.register_buffer("gain", torch.tensor(1.0))
        self.to(plain.weight.device)

    @torch.no_grad()
    def update_ranks(self) -> None:
        """Rank the weights as they are now; the number of open gates stays."""
        self.rank.copy_(ranks(self.weight, self.m, self.shared))

    @torch.no_grad()
    def set_n(self, n: int) -> None:
        """Open exactly the gates of the `n` largest weights."""
        self.scores.copy_((torch.arange(1, self.m) < n).to(self.scores))

    def priorities(self) -> Tensor:
        """[m - 1], of ranks 1, 2, ...: above 1/2 the gate is open."""
        scores = (1 + self.gain * (self.scores - 1)).clamp(0, HIGHEST_SCORE)
        return torch.where(self.ordered, scores.cumprod(0), scores)

    def gates(self) -> Tensor:
        """[m], 0 or 1; the gradient goes straight through the threshold to the priorities."""
        priorities = self.priorities()
        open_ = (priorities > 0.5).to(priorities) + (priorities - priorities.detach())
        return torch.cat([torch.ones_like(open_[:1]), open_])

    def n(self) -> int:
        """How many weights of a whole group pass."""
        return int(self.gates().detach().sum())

    def gated_weight(self) -> Tensor:
        """[out, in, kh, kw], the weights that apply."""
        # An index of 4 bytes lives only as long as this call; the scatter in its backward pass adds up 32 sums.
        mask = self.gates().index_select(0, self.rank.flatten().int()).view_as(self.weight)
        through = (1 - mask.detach()) * self.dense_gradient  # nothing but a gradient for the shut weights
        return self.weight * mask + (self.weight - self.weight.detach()) * through

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Conv2d`, with the gated weights."""
        return self._conv_forward(x, self.gated_weight(), self.bias)


def sparse_convolutions(network: nn.Module) -> dict[str, SparseConv2d]:
    """The convolutions with gates, by their dotted names, in module order."""
    return {name: conv for name, conv in convolutions(network).items() if isinstance(conv, SparseConv2d)}


def add_gates(network: nn.Module, m: int, shared: int = 1) -> None:
    """Give gates, all open, to every convolution with whole groups of M inputs that does not make the image, in place.

    `shared` consecutive filters have the same pattern. Raises `SparsrError` for an M that is not supported or fits no
    layer, and for a number of filters that cannot share.
    """
    if shared not in SHARED:
        raise SparsrError(f"{shared} filters cannot share a pattern", f"it can be {', '.join(map(str, SHARED))}")
    if m not in GROUP_SIZES:
        raise SparsrError(f"M is {m}", f"it can be {', '.join(map(str, GROUP_SIZES))}")
    chosen = {name: conv for name, conv in convolutions(network).items() if can_be_sparse(conv, m)}
    if not chosen:
        raise SparsrError(f"no convolution of the network has {m} input channels", "choose a smaller M")
    for name, conv in chosen.items():
        replace_module(network, name, SparseConv2d(conv, m, shared))


def merge_gates(network: nn.Module) -> None:
    """Turn the convolutions with gates into plain ones with zeros among their weights, in place."""
    for name, conv in sparse_convolutions(network).items():
        plain = conv_like(conv, conv.out_channels, conv.in_channels)
        with torch.no_grad():
            plain.weight.copy_(conv.gated_weight())
            if plain.bias is not None and conv.bias is not None:
                plain.bias.copy_(conv.bias)
        replace_module(network, name, plain)
