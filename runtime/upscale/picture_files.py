"""Upscaling picture files and folders of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.runtime.media import jpeg
from sparsr.runtime.media.images import Picture, image_format, list_images, read_image
from sparsr.runtime.media.strip_writers import WHOLE, strip_writer
from sparsr.runtime.memory import format_bytes
from sparsr.runtime.progress import Progress
from sparsr.runtime.upscale.upscaler import PictureUpscaler

_MAX_SIDE = {"JPEG": jpeg.MAX_SIDE, "WEBP": 16_383}
_ENCODER_COPIES = 2  # of the result, with 4 bytes a pixel: the image library's and its encoder's
_ROWS = 256  # of a picture, looked at together


def upscale_picture(source: Path, target: Path, upscaler: PictureUpscaler, max_pixels: int) -> tuple[int, int]:
    """Write the upscaled picture `source` to `target` and return its (height, width).

    Grey pictures stay grey, alpha and colour profile are kept. png, jpg and tif are written strip by strip, so that
    they may be larger than memory; webp and bmp are held whole. Raises `SparsrError` for a bad picture, or if the
    format of `target` cannot hold the result; `target` is only there if all of it could be written.
    """
    kind = image_format(target)
    picture = read_image(source, max_pixels)
    height, width = (side * upscaler.scale for side in picture.rgb.shape[:2])
    _refuse_misfit(target, kind, height, width, picture, upscaler)
    pixels = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    profile, grey = picture.icc_profile, _is_grey(picture.rgb)
    del picture  # with alpha its arrays are not needed any more
    with Progress(source.name, unit="tiles") as progress:

        def on_tile(done: int, total: int) -> None:
            progress.total = total
            progress.advance()

        strips = upscaler.strips(pixels, reserve=_held_back(kind, height, width, pixels.shape[2]), on_tile=on_tile)
        with atomic_file(target) as temporary, temporary.open("wb") as file:
            writer = strip_writer(file, kind, height, width, pixels.shape[2], profile)
            for strip in strips:
                writer.write(_without_colour(strip) if grey else strip)
            writer.finish()
    return height, width


def upscale_folder(source: Path, target: Path, upscaler: PictureUpscaler, max_pixels: int) -> int:
    """Upscale every picture of a folder into the folder `target` under its own name.

    A picture that fails is reported on stderr and left out. Returns how many failed; raises `SparsrError` if there
    is no picture or `target` is a file, and OSError when the disk is full.
    """
    if target.exists() and not target.is_dir():
        raise SparsrError(f"{target} is a file, but {source} is a folder", "name a folder for the output")
    failed = 0
    for path in list_images(source):
        try:
            height, width = upscale_picture(path, target / path.name, upscaler, max_pixels)
            print(f"{target / path.name}: {width}x{height}")
        except SparsrError as error:
            failed += 1
            print(f"error: {error}\nhint: {error.hint}" if error.hint else f"error: {error}", file=sys.stderr)
    return failed


def _refuse_misfit(
    target: Path, kind: str, height: int, width: int, picture: Picture, upscaler: PictureUpscaler
) -> None:
    """Raise `SparsrError` before the work rather than after it."""
    largest = _MAX_SIDE.get(kind)
    if largest and max(height, width) > largest:
        message = f"{target}: a {kind} holds at most {largest} pixels a side, not {width}x{height}"
        raise SparsrError(message, "name a png file")
    if picture.alpha is not None and kind in ("JPEG", "BMP"):
        raise SparsrError(f"{target}: a {kind.lower()} cannot hold transparency", "name a png, tif or webp file")
    held_back = _held_back(kind, height, width, 3)
    needed = upscaler.held + picture.rgb.nbytes + held_back
    if held_back and needed > upscaler.max_memory:
        raise SparsrError(
            f"{target}: writing {width}x{height} pixels as {kind} takes more than {format_bytes(upscaler.max_memory)}",
            f"name a png file, which is written piece by piece, or pass --max-memory {format_bytes(needed)}",
        )


def _held_back(kind: str, height: int, width: int, channels: int) -> int:
    """Bytes for formats that want the whole picture: the result, and what the encoder makes of it."""
    return height * width * (channels + 4 * _ENCODER_COPIES) if kind in WHOLE else 0


def _is_grey(rgb: ByteArray) -> bool:
    """Whether all colours are grey; looked at some rows at a time."""
    bands = (rgb[top : top + _ROWS] for top in range(0, len(rgb), _ROWS))
    return all((band[..., :1] == band[..., 1:]).all() for band in bands)


def _without_colour(strip: ByteArray) -> ByteArray:
    """The strip with its three colours replaced by their mean, in place."""
    total = strip[..., 0].astype(np.uint16)
    total += strip[..., 1]
    total += strip[..., 2]
    strip[..., :3] = ((total + 1) // 3)[..., None]
    return strip
