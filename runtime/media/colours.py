"""Colour models other than RGB and grey, converted to sRGB through their profiles by LittleCMS."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from sparsr.runtime.errors import SparsrError

_SRGB = ImageCms.createProfile("sRGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """A CMYK, Lab or HSV picture as sRGB, and a sentence on how."""
    if image.mode == "LAB":
        source = ImageCms.createProfile("LAB")
        return _transformed(image, source), "Lab was converted to sRGB"
    if image.mode == "CMYK" and profile:
        try:
            return _transformed(image, _opened(profile)), "CMYK was converted to sRGB through its profile"
        except (ImageCms.PyCMSError, OSError):
            pass
    remark = f"{image.mode} without a usable profile was converted to RGB by the plain formula"
    return image.convert("RGB"), remark


def grey_to_srgb(profile: bytes) -> NDArray[np.uint8] | None:
    """What 256 grey values of a grey profile are in sRGB; None if the profile is broken."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    try:
        return np.asarray(_transformed(ramp, _opened(profile)))[0, :, 1].copy()
    except (ImageCms.PyCMSError, OSError):
        return None


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _transformed(image: Image.Image, source: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile) -> Image.Image:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE  # optimised, dark tones are off by 9
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    result = ImageCms.profileToProfile(image, source, _SRGB, intent, outputMode="RGB", flags=flags)
    if result is None:
        raise SparsrError("the colours could not be converted to sRGB", "save the picture as RGB")
    return result
