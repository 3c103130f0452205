"""Parameter and multiply-add counts of a network."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparsr.train.networks import SRNetwork
from sparsr.train.networks.base import ColourMap


def parameters(network: nn.Module, mean_shifts: bool = False) -> int:
    """Number of weights and biases, as in the published tables: without the logits of SMSR's channel masks, which only
    choose, and with the mean shifts' frozen 24 only if asked for."""
    total = sum(parameter.numel() for name, parameter in network.named_parameters() if not name.endswith("ch_mask"))
    shifts = [module for module in network.modules() if isinstance(module, ColourMap)]
    return total - (0 if mean_shifts else sum(p.numel() for shift in shifts for p in shift.parameters()))


def layer_macs(network: nn.Module, height: int, width: int) -> dict[str, int]:
    """Multiply-adds of every convolution's weights for one [3, height, width] input, by its dotted name.

    No bias, no mean shift; transposed convolutions too. A layer that runs several times counts as often. Counted by
    running the network on the meta device: nothing is computed.
    """
    ghost = copy.deepcopy(network).to("meta").eval()
    counts: dict[str, int] = {}

    def counter(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
            # A transposed convolution uses every weight once per input pixel.
            pixels = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
            counts[name] = counts.get(name, 0) + module.weight.numel() * pixels.shape[2] * pixels.shape[3]

        return count

    for name, module in ghost.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(module, ColourMap):
            module.register_forward_hook(counter(name))
    with torch.no_grad():
        ghost(torch.empty(1, 3, height, width, device="meta"))
    return counts


def macs(network: SRNetwork, height: int, width: int, nonzero: bool = False) -> int:
    """Multiply-adds of all convolution weights for one [3, height, width] input; no bias, no mean shift.

    `nonzero`: only of weights other than zero, what an engine for N:M sparsity executes.
    """
    total = 0
    for name, dense in layer_macs(network, height, width).items():
        weight = network.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        total += dense * int(weight.count_nonzero()) // weight.numel() if nonzero else dense
    return total


def gmacs_720p(network: SRNetwork, nonzero: bool = False) -> float:
    """10^9 multiply-adds (see `macs`) for a 1280x720 output, with the exact (fractional for x3) input width as in the
    papers."""
    if network.scale == 1:  # the whole picture: some networks continue one to multiples of 16
        return macs(network, 720, 1280, nonzero) / 1e9
    side = 120
    per_pixel = macs(network, side, side, nonzero) / side**2
    return per_pixel * (1280 / network.scale) * (720 / network.scale) / 1e9
