"""PSNR and SSIM of 8-bit images: by the super-resolution protocol on luma, borders cropped, and by that of deblurring
and denoising on all three colours of the whole image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.errors import SparsrError

ByteArray = NDArray[np.uint8]
DoubleArray = NDArray[np.float64]

_LUMA: DoubleArray = np.array([65.481, 128.553, 24.966]) / 255  # ITU-R BT.601, as MATLAB's rgb2ycbcr
_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def rgb_to_y(rgb: ByteArray) -> DoubleArray:
    """Luma 16..235 of [h, w, 3] uint8 RGB, not rounded: [h, w] (MATLAB's rgb2ycbcr)."""
    return np.dot(rgb, _LUMA) + 16


def psnr_y(sr: ByteArray, hr: ByteArray, border: int) -> float:
    """Peak signal-to-noise ratio in dB of the luma of two [h, w, 3] images; infinite if equal.

    border: pixels left out on every side, by the protocol the scale. Raises `SparsrError` as `cropped_luma`.
    """
    return _psnr(*cropped_luma(sr, hr, border))


def ssim_y(sr: ByteArray, hr: ByteArray, border: int) -> float:
    """Structural similarity (Wang et al. 2004) of the luma of two [h, w, 3] images, at most 1.

    Gaussian window 11x11 with sigma 1.5, only where it lies inside. Raises `SparsrError` as `cropped_luma`, and
    for images smaller than the window.
    """
    return _ssim(*cropped_luma(sr, hr, border))


def psnr_rgb(restored: ByteArray, truth: ByteArray) -> float:
    """As `psnr_y`, over all values of two [h, w, 3] images. Raises `SparsrError` if their sizes differ."""
    _check_sizes(restored, truth)
    return _psnr(restored.astype(np.float64), truth.astype(np.float64))


def ssim_rgb(restored: ByteArray, truth: ByteArray) -> float:
    """As `ssim_y`, the mean over the colours of two whole [h, w, 3] images. Raises `SparsrError` likewise."""
    _check_sizes(restored, truth)
    colours = (image.astype(np.float64).transpose(2, 0, 1) for image in (restored, truth))
    return float(np.mean([_ssim(x, y) for x, y in zip(*colours, strict=True)]))


def _psnr(x: DoubleArray, y: DoubleArray) -> float:
    mse = float(np.mean((x - y) ** 2))
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def _ssim(x: DoubleArray, y: DoubleArray) -> float:
    """Of two [h, w] planes."""
    if min(x.shape) < _WINDOW:
        height, width = x.shape
        raise SparsrError(f"SSIM needs {_WINDOW} pixels per side, {width}x{height} are compared here")
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float(np.mean(similarity / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))))


def _check_sizes(a: ByteArray, b: ByteArray) -> None:
    if a.shape != b.shape:
        raise SparsrError(f"images of different sizes cannot be compared: {a.shape[:2]} and {b.shape[:2]}")


def cropped_luma(sr: ByteArray, hr: ByteArray, border: int) -> tuple[DoubleArray, DoubleArray]:
    """Luma of both images without `border` pixels on every side.

    Raises `SparsrError` if the sizes differ or nothing is left.
    """
    _check_sizes(sr, hr)
    height, width = sr.shape[:2]
    if min(height, width) <= 2 * border:
        raise SparsrError(f"an image of {width}x{height} pixels has nothing inside a border of {border}")
    inside = np.s_[border : height - border, border : width - border]
    return rgb_to_y(sr[inside]), rgb_to_y(hr[inside])


def _blur(image: DoubleArray) -> DoubleArray:
    """Gaussian window along both dimensions, valid region only: each side loses window - 1."""
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    height, width = (size - _WINDOW + 1 for size in image.shape)
    rows = sum(weight * image[i : i + height] for i, weight in enumerate(kernel))
    return sum(weight * rows[:, i : i + width] for i, weight in enumerate(kernel))
