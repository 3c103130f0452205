"""Channel counts of a network's convolutions: read them, and rebuild a slimmed network from them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sparsr.runtime.errors import SparsrError

Widths = dict[str, tuple[int, int]]
MAX_CHANNELS = 1 << 14  # no super-resolution network comes near; a hostile card must not exhaust memory


def convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    """Every convolution by its dotted name, in module order."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}


def widths(network: nn.Module) -> Widths:
    """(output channels, input channels) of every convolution; inputs are counted over all groups."""
    return {name: (conv.out_channels, conv.in_channels) for name, conv in convolutions(network).items()}


def slopes(network: nn.Module) -> dict[str, nn.PReLU]:
    """Every PReLU by its dotted name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.PReLU)}


def fit_slopes(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Replace, in place, every PReLU that has not as many slopes as `state`: those of a slimmed network."""
    for name, prelu in slopes(network).items():
        stored = state.get(f"{name}.weight")
        if stored is not None and stored.dim() == 1 and len(stored) != prelu.num_parameters:
            replace_module(network, name, prelu_like(prelu, torch.zeros_like(stored, device=prelu.weight.device)))


def prelu_like(prelu: nn.PReLU, weight: Tensor) -> nn.PReLU:
    """A PReLU like `prelu` with other slopes."""
    new = nn.PReLU(len(weight), device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        new.weight.copy_(weight)
    return new.requires_grad_(prelu.weight.requires_grad).train(prelu.training)


def replace_module(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` in the place of the sub-module with that dotted name."""
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def conv_like(conv: nn.Conv2d, outputs: int, inputs: int) -> nn.Conv2d:
    """A freshly initialised plain convolution like `conv` but with other channel counts."""
    return nn.Conv2d(
        inputs,
        outputs,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        groups=conv.groups,
        bias=conv.bias is not None,
        device=conv.weight.device,
    )


class ConvCopy(nn.Conv2d):
    """A convolution with another one's sizes and weights: what training wraps it in builds on this."""

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__(
            plain.in_channels,
            plain.out_channels,
            plain.kernel_size,  # type: ignore[arg-type]
            plain.stride,  # type: ignore[arg-type]
            plain.padding,  # type: ignore[arg-type]
            groups=plain.groups,
            bias=plain.bias is not None,
        )
        with torch.no_grad():
            self.weight.copy_(plain.weight)
            if self.bias is not None and plain.bias is not None:
                self.bias.copy_(plain.bias)


def resize(network: nn.Module, target: Widths) -> None:
    """Replace, in place, every convolution whose counts differ from `target`. The new weights are random.

    Raises `SparsrError` for a name the network does not have or an impossible count.
    """
    convs = convolutions(network)
    for name, (outputs, inputs) in target.items():
        if name not in convs:
            raise SparsrError(f"the card lists a convolution {name}, which the architecture does not have")
        conv = convs[name]
        if (
            not (0 < outputs <= MAX_CHANNELS and 0 < inputs <= MAX_CHANNELS)
            or inputs % conv.groups
            or outputs % conv.groups
        ):
            raise SparsrError(f"the card gives convolution {name} impossible channel counts {outputs} x {inputs}")
        if (outputs, inputs) != (conv.out_channels, conv.in_channels):
            fresh = conv_like(conv, outputs, inputs)
            for parameter in fresh.parameters():
                parameter.requires_grad_(conv.weight.requires_grad)
            replace_module(network, name, fresh)
