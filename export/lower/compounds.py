"""Operations that become several layers: each rule gives (suffix of the node's name, layer) one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from sparsr.export.ir.layers import Conv, DepthToSpace, FloatArray, Layer, MaskedBlock, PadEdge
from sparsr.runtime.errors import SparsrError
from sparsr.train.networks.sparse_masks import SparseMaskBlock
from sparsr.train.networks.tracing import Operation

Steps = list[tuple[str, Layer]]
_CUBIC = -0.75  # torch's bicubic kernel (Keys' a)


def bicubic(operation: Operation, _: nn.Module) -> Steps:
    """Bicubic enlargement by a whole factor: a convolution per colour and sub-pixel, the border repeating.

    Exact for half-pixel centres without antialiasing: a sub-pixel's taps do not depend on the pixel.
    """
    factor: int = operation.options["factor"]
    taps = np.stack([_cubic_taps((phase + 0.5) / factor - 0.5) for phase in range(factor)])
    kernels = np.einsum("yi,xj->yxij", taps, taps).reshape(factor**2, 1, 5, 5)
    weight = np.tile(kernels, (operation.channels, 1, 1, 1)).astype(np.float32)
    conv = Conv(weight, np.zeros(len(weight), np.float32), groups=operation.channels)
    return [(".pad", PadEdge(2)), (".conv", conv), ("", DepthToSpace(factor))]


def _cubic_taps(centre: float) -> Any:
    """Weights of the pixels -2..2 for the value at -0.5 <= `centre` < 0.5."""
    distance = np.abs(np.arange(-2, 3) - centre)
    near = (_CUBIC + 2) * distance**3 - (_CUBIC + 3) * distance**2 + 1
    far = _CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


def conv_transpose(operation: Operation, module: nn.Module) -> Steps:
    """The transposed convolution that doubles a map: each output pixel sees one or two inputs per axis.

    Output 2i reads input i through tap 1, output 2i + 1 reads i through tap 2 and i + 1 through tap 0.
    """
    assert isinstance(module, nn.ConvTranspose2d)
    shape = (module.kernel_size, module.stride, module.padding, module.output_padding, module.dilation, module.groups)
    if shape != ((3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1):
        raise SparsrError(
            f"{operation.name}: this ConvTranspose2d is not supported",
            "kernel 3, stride 2, padding 1, output_padding 1 is",
        )
    taps = module.weight.detach().numpy().transpose(1, 0, 2, 3)  # [outputs, inputs, 3, 3]
    weight = np.zeros((taps.shape[0], 2, 2, taps.shape[1], 2, 2), np.float32)  # outputs, sub-pixel, inputs, pixel
    sees = {(0, 0): 1, (1, 0): 2, (1, 1): 0}  # (sub-pixel, pixel): tap
    for (dy, y), row in sees.items():
        for (dx, x), column in sees.items():
            weight[:, dy, dx, :, y, x] = taps[:, :, row, column]
    conv = Conv(weight.reshape(-1, taps.shape[1], 2, 2), np.repeat(_values(module), 4), padding=(0, 0, 1, 1))
    return [(".conv", conv), ("", DepthToSpace(2))]


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
    "conv_transpose": conv_transpose,
    "masked": masked,
}
