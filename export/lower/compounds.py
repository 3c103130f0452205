"""Operations that become several layers: each rule gives (suffix of the node's name, layer) one after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import nn

from sparsr.export.ir.layers import Activation, MaskedBlock
from sparsr.export.lower import phases, resampling
from sparsr.export.lower.phases import Steps
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray
from sparsr.train.networks.sparse_masks import SparseMaskBlock
from sparsr.train.networks.tracing import Operation


def bilinear(operation: Operation, _: nn.Module) -> Steps:
    """Bilinear enlargement by a whole factor."""
    return resampling.bilinear(operation.channels, operation.options["factor"])


def bicubic(operation: Operation, _: nn.Module) -> Steps:
    """Bicubic enlargement by a whole factor."""
    return resampling.bicubic(operation.channels, operation.options["factor"])


def conv_transpose(operation: Operation, module: nn.Module) -> Steps:
    """A transposed convolution of equal strides, without groups and dilation."""
    assert isinstance(module, nn.ConvTranspose2d)
    stride, padding, extra = module.stride[0], module.padding, module.output_padding
    if module.stride[0] != module.stride[1] or module.dilation != (1, 1) or module.groups != 1:
        raise SparsrError(
            f"{operation.name}: this ConvTranspose2d is not supported", "equal strides, dilation 1 and one group are"
        )
    weight = np.array(module.weight.detach().numpy(), np.float32)
    cut = (int(padding[0]), int(padding[1]), int(padding[0]), int(padding[1]))
    return phases.conv_transpose(weight, _values(module), stride, cut, (int(extra[0]), int(extra[1])))


def pixel_unshuffle(operation: Operation, _: nn.Module) -> Steps:
    """Blocks of pixels as channels."""
    block = operation.options["block"]
    return [("", phases.pixel_unshuffle(operation.channels // block**2, block))]


def prelu(operation: Operation, module: nn.Module) -> Steps:
    """A slope per channel, or one for all."""
    assert isinstance(module, nn.PReLU)
    slopes = np.broadcast_to(module.weight.detach().numpy(), operation.channels)
    return [("", Activation("prelu", slopes=np.array(slopes, np.float32)))]


def masked(_: Operation, module: nn.Module) -> Steps:
    """A masked block with its channel masks baked: the larger logit wins, a tie is sparse."""
    assert isinstance(module, SparseMaskBlock)
    block = MaskedBlock(
        tuple(
            np.array(conv.weight.detach().numpy(), np.float32) for conv in module.body if isinstance(conv, nn.Conv2d)
        ),
        module.dense_channels().numpy(),
        np.array(module.collect.weight.detach().numpy()[:, :, 0, 0], np.float32),
        _values(module.collect),
    )
    return [("", block)]


def _values(conv: nn.Conv2d | nn.ConvTranspose2d) -> FloatArray:
    """The bias, also of a convolution without one."""
    bias = np.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().numpy()
    return np.array(bias, np.float32)


COMPOUNDS: dict[str, Callable[[Operation, nn.Module], Steps]] = {
    "bicubic": bicubic,
    "bilinear": bilinear,
    "conv_transpose": conv_transpose,
    "masked": masked,
    "pixel_unshuffle": pixel_unshuffle,
    "prelu": prelu,
}
