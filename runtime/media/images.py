"""Reading and writing pictures: 8-bit RGB arrays, with alpha and colour profile beside them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file

ByteArray = NDArray[np.uint8]

MAX_PIXELS = 100_000_000
"""Largest picture read unless the caller says otherwise: 300 MB once decoded."""

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_FORMATS = tuple(sorted(set(SUFFIXES.values())))
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"}
_ENCODING: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
}
_ORIENTATION = 0x0112  # Exif tag
_TURNED = (5, 6, 7, 8)  # orientations that exchange width and height
_BITS_PER_SAMPLE = 258  # TIFF tag
_ROWS = 128  # converted at once

# The caller's own cap, checked from the header, takes the place of Pillow's warning and fixed limit.
Image.MAX_IMAGE_PIXELS = None
# What Pillow warns about is read as well as it can be, or refused in our own words.
warnings.filterwarnings("ignore", module="PIL")


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, the right way up."""

    rgb: ByteArray
    """[height, width, 3]."""
    alpha: ByteArray | None = None
    """[height, width]; 255 is opaque."""
    icc_profile: bytes | None = None
    """The file's RGB colour profile."""


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a png, jpg, bmp, tif or webp file; of several pictures in one file the first.

    Grey and palette pictures become RGB, Exif orientation is applied. Raises `SparsrError` if the file is
    missing, empty, damaged or not an image, has more than 8 bits per channel or an unusual colour model, or if
    its header announces more than `max_pixels` pixels (checked before anything is decoded).
    """
    with _opened(path) as image:
        _check(image, Path(path), max_pixels)
        profile = image.info.get("icc_profile") if image.mode.startswith(("RGB", "P")) else None
        ImageOps.exif_transpose(image, in_place=True)
        has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
        return _converted(image, has_alpha, profile)


def _converted(image: Image.Image, has_alpha: bool, profile: bytes | None) -> Picture:
    """The decoded image as arrays, some rows at a time: conversions of the whole would take its memory three times."""
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha else None
    image.load()
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        pixels = np.asarray(image.crop((0, top, width, bottom)).convert("RGBA" if has_alpha else "RGB"))
        rgb[top:bottom] = pixels[..., :3]
        if alpha is not None:
            alpha[top:bottom] = pixels[..., 3]
    return Picture(rgb, alpha, profile)


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) in pixels as `read_image` would return it, read from the header alone.

    Raises `SparsrError` if the file is missing, empty or not an image.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in _TURNED
    return (width, height) if turned else (height, width)


def write_image(path: str | Path, image: Picture | ByteArray) -> None:
    """Write a picture or an [height, width, 3] RGB array in the format of the suffix, atomically.

    jpg is written at quality 95 without chroma subsampling, webp without loss. Raises `SparsrError` for a
    suffix that is not an image format, for alpha in a jpg or bmp, and for a size the format cannot hold.
    """
    path = Path(path)
    picture = image if isinstance(image, Picture) else Picture(image)
    kind = image_format(path)
    content = encode(path, kind, picture)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def encode(path: Path, kind: str, picture: Picture) -> memoryview:
    """The bytes of a file in the format `kind`; raises as `write_image`, naming `path`.

    In memory: libtiff hides the disk's errors, and Pillow's own writing may stop short without one.
    """
    if picture.alpha is not None and kind in ("JPEG", "BMP"):
        raise SparsrError(f"{path}: {kind} cannot hold transparency", "name a png, tif or webp file")
    pixels = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    options = dict(_ENCODING.get(kind, {}))
    if picture.icc_profile and kind != "BMP":
        options["icc_profile"] = picture.icc_profile
    encoded = io.BytesIO()
    try:
        Image.fromarray(pixels).save(encoded, kind, **options)
    except (OSError, ValueError, SystemError) as error:
        height, width = picture.rgb.shape[:2]
        raise SparsrError(
            f"{path}: {kind} cannot hold a picture of {width}x{height} pixels ({error})",
            "name a png file",
        ) from error
    return encoded.getbuffer()


def image_format(path: str | Path) -> str:
    """The format a file name asks for, such as "PNG". Raises `SparsrError` for an unknown suffix."""
    kind = SUFFIXES.get(Path(path).suffix.lower())
    if kind is None:
        raise SparsrError(f"{path} does not end in an image format", f"use one of {' '.join(SUFFIXES)}")
    return kind


def list_images(folder: str | Path, recursive: bool = False) -> list[Path]:
    """The image files of a folder (by suffix, hidden ones left out), sorted.

    Raises `SparsrError` if there is no such folder or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SparsrError(f"there is no folder {folder}", "check the path")
    found = sorted(
        path
        for path in folder.glob("**/*" if recursive else "*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        suffixes = " ".join(SUFFIXES)
        raise SparsrError(f"there are no images in {folder}", f"it needs files ending in {suffixes}")
    return found


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """The file's header, pixels still undecoded; what decoding raises inside becomes a `SparsrError`."""
    path = Path(path)
    if not path.is_file():
        reason = "is a folder, not an image file" if path.is_dir() else "does not exist"
        raise SparsrError(f"{path} {reason}", "check the path")
    with path.open("rb") as file:
        if not file.read(1):
            raise SparsrError(f"{path} is empty (0 bytes)", "copy or save it again")
        file.seek(0)
        try:
            with Image.open(file, formats=_FORMATS) as image:
                yield image
        except Image.UnidentifiedImageError as error:
            hint = f"known: {' '.join(SUFFIXES)}"
            raise SparsrError(f"{path} is not an image of a known format", hint) from error
        except (SparsrError, MemoryError):
            raise
        except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
            raise SparsrError(f"{path} is damaged or cut short ({error})", "copy or save it again") from error


def _check(image: Image.Image, path: Path, max_pixels: int) -> None:
    """Refuse what must not or cannot be decoded to 8-bit RGB."""
    width, height = image.size
    if width * height > max_pixels:
        raise SparsrError(
            f"{path} is {width}x{height}, more than the {max_pixels / 1e6:g} million pixels allowed",
            "crop or shrink it, or raise the limit",
        )
    if _bits_per_channel(image, path) > 8:
        raise SparsrError(
            f"{path} has more than 8 bits per channel, which SparSR would have to cut",
            "save it with 8 bits per channel",
        )
    if image.mode not in _MODES:
        raise SparsrError(f"{path} has the colour model {image.mode}, not RGB or grey", "save it as RGB")


def _bits_per_channel(image: Image.Image, path: Path) -> int:
    """Bits from the file's header: Pillow turns some 16-bit files into 8 bits without a word."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # IHDR is the first chunk: its bit depth is the file's 25th byte
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))  # type: ignore[attr-defined]
    return 32 if image.mode in ("I", "F") or image.mode.startswith("I;16") else 8
