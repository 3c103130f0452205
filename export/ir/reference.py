"""The reference executor: slow, obvious numpy, and thereby the definition of every layer kind.

Sums are accumulated in float64 and every result is rounded to float32: the reference is at least as exact
as anything compared with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layers import (
    Activation,
    Add,
    AvgPool,
    ChannelAffine,
    Concat,
    Conv,
    CropLike,
    DepthToSpace,
    FloatArray,
    GlobalMean,
    GlobalStd,
    Layer,
    MaskedBlock,
    MaxPool,
    Mul,
    PadEdge,
    PadToEven,
    ResizeLike,
    SliceChannels,
)
from sparsr.runtime.errors import SparsrError


def run(graph: DeployGraph, image: FloatArray) -> FloatArray:
    """The result of `graph` for `image`; both [batch, channels, height, width] float32 in 0..value_range.

    Raises `SparsrError` if the image has other channels or is smaller than `graph.minimum_size`.
    """
    if image.ndim != 4 or image.shape[1] != graph.input_channels or min(image.shape[2:]) < graph.minimum_size:
        raise SparsrError(
            f"{graph.name} cannot run on an array of shape {image.shape}",
            f"it takes [batch, {graph.input_channels}, h, w], h and w at least {graph.minimum_size}",
        )
    tensors = {graph.input: image.astype(np.float32)}
    last_use = {name: node for node in graph.nodes for name in node.inputs}
    for node in graph.nodes:
        tensors[node.name] = apply(node.layer, *(tensors[name] for name in node.inputs))
        for name in set(node.inputs):
            if last_use[name] is node and name != graph.output:
                del tensors[name]
    return tensors[graph.output]


def apply(layer: Layer, *inputs: FloatArray) -> FloatArray:
    """The result of one layer; all arrays NCHW float32."""
    return _LAYERS[type(layer)](layer, *(tensor.astype(np.float64) for tensor in inputs)).astype(np.float32)


def _activation(layer: Activation | None, x: Any) -> Any:
    if layer is None:
        return x
    if layer.function == "relu":
        return np.maximum(x, 0)
    if layer.function == "leaky_relu":
        return np.where(x < 0, layer.slope * x, x)
    # exp only of negative numbers, which cannot overflow
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def _per_channel(values: Any) -> Any:
    return values.astype(np.float64)[None, :, None, None]


def _conv(layer: Conv, x: Any) -> Any:
    top, left, bottom, right = layer.padding
    out_h, out_w = layer.output_shape(x.shape[1:])[1:]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    batch, channels = x.shape[:2]
    outputs, _, kernel_h, kernel_w = layer.weight.shape
    x = x.reshape(batch, layer.groups, channels // layer.groups, *x.shape[2:])
    weight = layer.weight.reshape(layer.groups, outputs // layer.groups, -1, kernel_h, kernel_w).astype(np.float64)
    result = np.zeros((batch, layer.groups, outputs // layer.groups, out_h * out_w))
    for dy in range(kernel_h):
        for dx in range(kernel_w):
            seen = _strided(x, dy, dx, layer.stride, out_h, out_w)
            result += weight[:, :, :, dy, dx] @ seen.reshape(*seen.shape[:3], -1)
    result = result.reshape(batch, outputs, out_h, out_w) + _per_channel(layer.bias)
    return _activation(layer.activation, result)


def _windows(layer: MaxPool, x: Any) -> Any:
    """Every place of the window: [kernel^2, batch, channels, height, width]."""
    size = layer.output_shape(x.shape[1:])[1:]
    places = [(dy, dx) for dy in range(layer.kernel) for dx in range(layer.kernel)]
    return np.stack([_strided(x, dy, dx, layer.stride, *size) for dy, dx in places])


def _masked_block(layer: MaskedBlock, x: Any, logits: Any = None) -> Any:
    important = False if logits is None else logits[:, 1:] > logits[:, :1]
    dense_before = np.ones(layer.dense.shape[1])
    results = []
    for weight, dense in zip(layer.weights, layer.dense, strict=True):
        conv = Conv(weight, np.zeros(len(weight), np.float32), padding=(1, 1, 1, 1))
        elsewhere = _conv(conv, x * _per_channel(dense_before)) * _per_channel(dense)
        x = np.maximum(np.where(important, _conv(conv, x), elsewhere), 0)
        dense_before = dense
        results.append(x)
    return _conv(Conv(layer.fuse_weight[:, :, None, None], layer.fuse_bias), np.concatenate(results, axis=1))


def _pad_to_even(layer: PadToEven, x: Any) -> Any:
    return np.pad(x, [(0, 0)] * 2 + [(0, side % 2) for side in x.shape[2:]], mode="edge")


def _strided(x: Any, dy: int, dx: int, stride: int, height: int, width: int) -> Any:
    """The pixels that tap (dy, dx) of a kernel sees: [..., height, width]."""
    return x[..., dy::stride, dx::stride][..., :height, :width]


def _resize_like(layer: ResizeLike, x: Any, other: Any) -> Any:
    rows = _bilinear(x.shape[2], other.shape[2])
    columns = _bilinear(x.shape[3], other.shape[3])
    return rows @ x @ columns.T


def _bilinear(size: int, target: int) -> Any:
    """Matrix [target, size] of interpolation weights; pixel centres at half-integers, the border repeats."""
    matrix = np.zeros((target, size))
    for i in range(target):
        centre = min(max((i + 0.5) * size / target - 0.5, 0), size - 1)
        left = min(int(centre), max(size - 2, 0))
        matrix[i, left] += 1 - (centre - left)
        matrix[i, min(left + 1, size - 1)] += centre - left
    return matrix


def _depth_to_space(layer: DepthToSpace, x: Any) -> Any:
    batch, channels, height, width = x.shape
    r = layer.block
    x = x.reshape(batch, channels // r**2, r, r, height, width)  # n c dy dx h w
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(batch, channels // r**2, height * r, width * r)


_LAYERS: dict[type[Layer], Callable[..., Any]] = {
    Activation: _activation,
    Conv: _conv,
    ChannelAffine: lambda layer, x: _per_channel(layer.factor) * x + _per_channel(layer.offset),
    Add: lambda layer, x, y: _activation(layer.activation, x + y),
    Mul: lambda layer, x, y: x * y,
    Concat: lambda layer, *inputs: np.concatenate(inputs, axis=1),
    SliceChannels: lambda layer, x: x[:, layer.start : layer.stop],
    GlobalMean: lambda layer, x: x.mean((2, 3), keepdims=True),
    GlobalStd: lambda layer, x: x.std((2, 3), keepdims=True),
    MaxPool: lambda layer, x: _windows(layer, x).max(0),
    AvgPool: lambda layer, x: _windows(layer, x).mean(0),
    MaskedBlock: _masked_block,
    PadToEven: _pad_to_even,
    CropLike: lambda layer, x, like: x[:, :, : like.shape[2], : like.shape[3]],
    ResizeLike: _resize_like,
    PadEdge: lambda layer, x: np.pad(x, [(0, 0)] * 2 + [(layer.amount, layer.amount)] * 2, mode="edge"),
    DepthToSpace: _depth_to_space,
}
