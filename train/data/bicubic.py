"""Bicubic resizing exactly as MATLAB's imresize does it, the super-resolution field's way to make LR images.

Cubic convolution (Keys 1981, a = -0.5), stretched by the scale when shrinking (antialiasing), symmetric
borders, height before width, and the result rounded to 8 bits after each of the two passes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.errors import SparsrError

ByteArray = NDArray[np.uint8]
DoubleArray = NDArray[np.float64]


def crop_to_multiple(image: ByteArray, scale: int) -> ByteArray:
    """The top-left part of [h, w, ...] whose sides are multiples of `scale`."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def downscale(image: ByteArray, scale: int) -> ByteArray:
    """uint8 [h, w] or [h, w, c] -> the same 1/scale as large; sides that are no multiple are rounded up.

    Raises `SparsrError` for an image without pixels.
    """
    height, width = image.shape[:2]
    return resize(image, math.ceil(height / scale), math.ceil(width / scale), 1 / scale)


def upscale(image: ByteArray, scale: int) -> ByteArray:
    """uint8 [h, w] or [h, w, c] -> the same `scale` times as large."""
    height, width = image.shape[:2]
    return resize(image, height * scale, width * scale, float(scale))


def resize(image: ByteArray, height: int, width: int, factor: float) -> ByteArray:
    """uint8 [h, w] or [h, w, c] -> uint8 [height, width, ...] with `factor` = output size / input size."""
    if image.size == 0:
        raise SparsrError("an image without pixels cannot be resized")
    rows = _resize_rows(np.ascontiguousarray(image), height, factor)
    columns = _resize_rows(np.ascontiguousarray(rows.swapaxes(0, 1)), width, factor)
    return np.ascontiguousarray(columns.swapaxes(0, 1))


def _resize_rows(image: ByteArray, height: int, factor: float) -> ByteArray:
    """Resize along the first dimension and round half up to 8 bits."""
    indices, weights = _taps(len(image), height, factor)
    shape = (-1, *(1,) * (image.ndim - 1))
    # Blocks of rows stay in the processor's cache through all taps.
    block = max(1, (1 << 17) // max(1, image[0].size))
    out = np.empty((height, *image.shape[1:]), np.uint8)
    for start in range(0, height, block):
        part = slice(start, start + block)
        total = np.zeros((len(indices[part]), *image.shape[1:]))
        for index, weight in zip(indices[part].T, weights[part].T, strict=True):
            total += image[index] * weight.reshape(shape)
        out[part] = np.clip(np.floor(total + 0.5), 0, 255)
    return out


@lru_cache(maxsize=64)
def _taps(length: int, output: int, factor: float) -> tuple[NDArray[np.intp], DoubleArray]:
    """Input indices and weights, [output, taps] each, that make up every output sample."""
    stretch = min(factor, 1.0)
    width = 4 / stretch
    centre = np.arange(1, output + 1) / factor + 0.5 * (1 - 1 / factor)  # counted from 1, as MATLAB does
    left = np.floor(centre - width / 2)
    positions = left[:, None] + np.arange(math.ceil(width) + 2)
    weights = stretch * _cubic(stretch * (centre[:, None] - positions))
    weights /= weights.sum(1, keepdims=True)
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    indices = mirror[(positions.astype(np.intp) - 1) % (2 * length)]
    used = weights.any(0)
    return indices[:, used], weights[:, used]


def _cubic(x: DoubleArray) -> DoubleArray:
    """Keys' kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
