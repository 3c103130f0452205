"""How the operations of torch are understood: one rule per function or module, into a few kinds.

A rule is called like the torch function it stands for, with `TensorRef`s in place of tensors, and returns a `Meaning`.
Functions that return several tensors have a list of these.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sparsr.train.networks.base import ChannelAffine
from sparsr.train.networks.kinds import Kind, Meaning, SizeOf, TensorRef, require
from sparsr.train.networks.sizes import CropLike, PadToEven, PadToMultiple
from sparsr.train.networks.sparse_masks import SparseMaskBlock


def _identity(x: TensorRef) -> Meaning:
    return "identity", [x], {}


def _relu(input: TensorRef, inplace: bool = False) -> Meaning:
    return "relu", [input], {}


def _leaky_relu(input: TensorRef, negative_slope: float = 0.01, inplace: bool = False) -> Meaning:
    return "leaky_relu", [input], {"slope": float(negative_slope)}


def _sigmoid(input: TensorRef) -> Meaning:
    return "sigmoid", [input], {}


def _silu(input: TensorRef, inplace: bool = False) -> Meaning:
    require(not inplace, "changing a tensor in place, which others may read, is not handled")
    return "silu", [input], {}


def _tanh(input: TensorRef) -> Meaning:
    return "tanh", [input], {}


def _clip(input: TensorRef, min: float | None = None, max: float | None = None) -> Meaning:
    bounds = isinstance(min, int | float) and isinstance(max, int | float)
    require(bounds, "only clipping to two numbers is handled")
    return "clip", [input], {"low": float(min), "high": float(max)}  # type: ignore[arg-type]


def _affine(x: TensorRef, factor: float, offset: float) -> Meaning:
    return "affine", [x], {"factor": float(factor), "offset": float(offset)}


def _add(input: TensorRef | float, other: TensorRef | float) -> Meaning:
    if isinstance(input, TensorRef) and isinstance(other, TensorRef):
        require(input.channels == other.channels, "its inputs have different channel counts")
        return "add", [input, other], {}
    if isinstance(input, TensorRef):
        return _affine(input, 1.0, other)  # type: ignore[arg-type]
    return _affine(other, 1.0, input)  # type: ignore[arg-type]


def _sub(input: TensorRef | float, other: TensorRef | float) -> Meaning:
    if isinstance(input, TensorRef) and isinstance(other, TensorRef):
        require(input.channels == other.channels, "its inputs have different channel counts")
        return "sub", [input, other], {}
    if isinstance(input, TensorRef):
        return _affine(input, 1.0, -other)  # type: ignore[operator]
    return _affine(other, -1.0, input)  # type: ignore[arg-type]


def _mul(input: TensorRef | float, other: TensorRef | float) -> Meaning:
    if isinstance(input, TensorRef) and isinstance(other, TensorRef):
        require(input.channels == other.channels, "its inputs have different channel counts")
        return "mul", [input, other], {}
    if isinstance(input, TensorRef):
        return _affine(input, other, 0.0)  # type: ignore[arg-type]
    return _affine(other, input, 0.0)  # type: ignore[arg-type]


def _div(input: TensorRef, other: float) -> Meaning:
    require(isinstance(input, TensorRef) and isinstance(other, int | float), "only tensor / number is handled")
    return _affine(input, 1.0 / other, 0.0)


def _concat(tensors: Sequence[TensorRef], dim: int = 0) -> Meaning:
    dim %= 4
    if dim in _AXES:
        require(len({tensor.channels for tensor in tensors}) == 1, "its inputs have different channel counts")
        return "join", list(tensors), {"axis": _AXES[dim]}
    require(dim == 1, f"it joins along dimension {dim}, only channels (1), rows (2) and columns (3) are handled")
    return "concat", list(tensors), {}


_AXES = {2: 0, 3: 1}
"""Dimensions of pixels: rows are axis 0, columns axis 1."""


def slice_channels(x: TensorRef, index: Any) -> Meaning:
    """The rule for x[index]."""
    index = index if isinstance(index, tuple) else (index,)
    others = [part for position, part in enumerate(index) if position != 1]
    require(len(index) >= 2 and all(part == slice(None) for part in others), "it is not x[:, a:b]")
    require(isinstance(index[1], slice) and index[1].step in (None, 1), "it is not x[:, a:b]")
    start, stop, _ = index[1].indices(x.channels)
    return "slice", [x], {"start": start, "stop": stop}


def _split(tensor: TensorRef, split_size_or_sections: int | Sequence[int], dim: int = 0) -> list[Meaning]:
    require(dim in (1, -3), f"it splits along dimension {dim}, only channels (1) are handled")
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        sizes = [min(sizes, tensor.channels - start) for start in range(0, tensor.channels, sizes)]
    stops = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [
        slice_channels(tensor, (slice(None), slice(stop - size, stop))) for size, stop in zip(sizes, stops, strict=True)
    ]


def _chunk(input: TensorRef, chunks: int, dim: int = 0) -> list[Meaning]:
    if dim % 4 in _AXES:  # equal parts: sizes that do not divide are the network's to avoid
        options = {"axis": _AXES[dim % 4], "count": chunks}
        return [("part", [input], options | {"index": index}) for index in range(chunks)]
    return _split(input, -(-input.channels // chunks), dim)


def _over_pixels(kind: Kind, x: TensorRef, dim: Any, keepdim: bool) -> Meaning:
    dims = {d % 4 for d in dim} if isinstance(dim, Sequence) else set()
    require(dims == {2, 3} and keepdim, "only dim=(2, 3), keepdim=True is handled")
    return kind, [x], {}


def _mean(input: TensorRef, dim: Any = None, keepdim: bool = False) -> Meaning:
    return _over_pixels("mean", input, dim, keepdim)


def _std(
    input: TensorRef,
    dim: Any = None,
    unbiased: bool = True,
    *,
    correction: int | None = None,
    keepdim: bool = False,
) -> Meaning:
    require(correction == 0 or (correction is None and not unbiased), "only correction=0 is handled")
    return _over_pixels("std", input, dim, keepdim)


def _adaptive_avg_pool2d(input: TensorRef, output_size: Any) -> Meaning:
    require(output_size in (1, (1, 1), [1, 1]), "only output size 1 is handled")
    return "mean", [input], {}


def _max_pool2d(
    input: TensorRef,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Meaning:
    plain = (padding, dilation, ceil_mode, return_indices) == (0, 1, False, False)
    require(plain, "padding, dilation, ceil_mode and return_indices are not handled")
    kernel, step = _square(kernel_size), _square(stride or kernel_size)
    return "max_pool", [input], {"kernel": kernel, "stride": step}


def _avg_pool2d(module: nn.AvgPool2d, input: TensorRef) -> Meaning:
    plain = not module.padding and not module.ceil_mode and module.divisor_override is None
    require(plain, "padding, ceil_mode and divisor_override are not handled")
    kernel, step = _square(module.kernel_size), _square(module.stride or module.kernel_size)
    return "avg_pool", [input], {"kernel": kernel, "stride": step}


def _avg_pool2d_function(input: TensorRef, kernel_size: int | tuple[int, int], **others: Any) -> Meaning:
    return _avg_pool2d(nn.AvgPool2d(kernel_size, **others), input)


def _square(size: int | tuple[int, int]) -> int:
    if isinstance(size, int):
        return size
    require(size[0] == size[1], "only equal height and width are handled")
    return size[0]


def _interpolate(
    input: TensorRef,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Meaning:
    plain = not any((align_corners, recompute_scale_factor, antialias))
    if plain and mode in _BY_FACTOR and isinstance(scale_factor, int):
        return _BY_FACTOR[mode], [input], {"factor": scale_factor}
    require(
        plain and mode == "bilinear" and not scale_factor and isinstance(size, SizeOf),
        "only mode='bilinear' to another tensor's size (size=x.shape[2:]) and nearest, bilinear and bicubic by a whole "
        "factor are handled",
    )
    return "resize", [input, size.tensor], {}


_BY_FACTOR: dict[str, Kind] = {"nearest": "nearest", "bilinear": "bilinear", "bicubic": "bicubic"}


def _pixel_shuffle(input: TensorRef, upscale_factor: int) -> Meaning:
    if upscale_factor == 1:
        return _identity(input)
    return "pixel_shuffle", [input], {"block": upscale_factor}


def _pixel_unshuffle(input: TensorRef, downscale_factor: int) -> Meaning:
    return "pixel_unshuffle", [input], {"block": downscale_factor}


def _channel_affine(module: ChannelAffine, input: TensorRef) -> Meaning:
    if module.uniform:
        return _affine(input, float(module.factor), float(module.offset))
    return "channel_affine", [input], {}


FUNCTIONS: dict[Any, Callable[..., Meaning | list[Meaning]]] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, "relu", "relu_"), _relu),
    F.leaky_relu: _leaky_relu,
    **dict.fromkeys((F.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"), _sigmoid),
    F.silu: _silu,
    **dict.fromkeys((F.tanh, torch.tanh, "tanh"), _tanh),
    **dict.fromkeys((torch.clamp, torch.clip, "clamp", "clip"), _clip),
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), _add),
    **dict.fromkeys((operator.sub, operator.isub, torch.sub, "sub"), _sub),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul, "mul", "mul_"), _mul),
    **dict.fromkeys((operator.truediv, torch.div, "div"), _div),
    **dict.fromkeys((torch.cat, torch.concat), _concat),
    **dict.fromkeys((torch.split, "split"), _split),
    **dict.fromkeys((torch.chunk, "chunk"), _chunk),
    **dict.fromkeys((torch.mean, "mean"), _mean),
    **dict.fromkeys((torch.std, "std"), _std),
    F.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool2d),
    F.avg_pool2d: _avg_pool2d_function,
    F.interpolate: _interpolate,
    **dict.fromkeys((F.pixel_shuffle, torch.pixel_shuffle), _pixel_shuffle),
    **dict.fromkeys((F.pixel_unshuffle, torch.pixel_unshuffle), _pixel_unshuffle),
    "contiguous": _identity,
}

MODULES: dict[type[nn.Module], Callable[..., Meaning]] = {
    nn.Conv2d: lambda module, x: ("conv", [x], {}),
    nn.ConvTranspose2d: lambda module, x: ("conv_transpose", [x], {}),
    SparseMaskBlock: lambda module, *inputs: ("masked", inputs, {}),
    PadToEven: lambda module, x: ("pad_to_even", [x], {}),
    ChannelAffine: _channel_affine,
    PadToMultiple: lambda module, x: ("pad_to_multiple", [x], {"rows": module.rows, "columns": module.columns}),
    CropLike: lambda module, x, like: ("crop_like", [x, like], {"most": module.most}),
    nn.AvgPool2d: _avg_pool2d,
    nn.ReLU: lambda module, x: _relu(x),
    nn.LeakyReLU: lambda module, x: _leaky_relu(x, module.negative_slope),
    nn.PReLU: lambda module, x: ("prelu", [x], {}),
    nn.Sigmoid: lambda module, x: _sigmoid(x),
    nn.SiLU: lambda module, x: _silu(x, module.inplace),
    nn.Tanh: lambda module, x: _tanh(x),
    nn.Identity: lambda module, x: _identity(x),
    nn.PixelShuffle: lambda module, x: _pixel_shuffle(x, module.upscale_factor),
    nn.AdaptiveAvgPool2d: lambda module, x: _adaptive_avg_pool2d(x, module.output_size),
    nn.MaxPool2d: lambda module, x: _max_pool2d(
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
    ),
}
