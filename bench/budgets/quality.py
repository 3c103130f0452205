"""PSNR of a bundle's enlargements against the true pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images, read_image
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.upscale.upscaler import Upscaler


def luma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Y of ITU-R BT.601 in 16..235, float64 [h, w], of uint8 RGB [h, w, 3]: what super-resolution papers compare."""
    return picture.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255 + 16


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8], scale: int) -> float:
    """Peak signal-to-noise ratio of two pictures in dB, inf for equal ones.

    Of luma without `scale` pixels at each side; at scale 1 (deblurring, denoising) of all colours of all pixels.
    """
    inner = slice(scale, -scale)
    planes = [image.astype(float) if scale == 1 else luma(image)[inner, inner] for image in (one, other)]
    error = np.mean((planes[0] - planes[1]) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def mean_psnr(bundle: Bundle, engine: str, low: Path, high: Path) -> float:
    """Mean over all pictures of `low`, whose true pictures in `high` have the same names without their endings.

    Raises `SparsrError` if there is no picture, or one lacks its true picture or has another size.
    """
    upscaler = Upscaler(bundle, engine)
    pictures = list_images(low)
    true = {path.stem: path for path in list_images(high)}
    values = []
    for path in pictures:
        if path.stem not in true:
            raise SparsrError(f"{high} has no picture {path.stem}", "true pictures have the names of the small ones")
        enlarged, wanted = upscaler(read_image(path).rgb), read_image(true[path.stem]).rgb
        if enlarged.shape != wanted.shape:
            sizes = f"{enlarged.shape[1]}x{enlarged.shape[0]}, not {wanted.shape[1]}x{wanted.shape[0]}"
            raise SparsrError(f"{path} becomes {sizes} as {true[path.stem].name} is", "the scale is another")
        values.append(psnr(enlarged, wanted, bundle.card.scale))
    return float(np.mean(values))
