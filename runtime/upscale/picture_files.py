"""Upscaling picture files and folders of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.runtime.media.images import Picture, image_format, list_images, read_image, write_image
from sparsr.runtime.media.png import PngWriter
from sparsr.runtime.memory import format_bytes
from sparsr.runtime.progress import Progress
from sparsr.runtime.upscale.upscaler import PictureUpscaler

_MAX_SIDE = {"JPEG": 65_535, "WEBP": 16_383}
_ENCODER_COPIES = 3  # the result, the image library's copy with 4 bytes a pixel, its encoder's buffers


def upscale_picture(source: Path, target: Path, upscaler: PictureUpscaler, max_pixels: int) -> tuple[int, int]:
    """Write the upscaled picture `source` to `target` and return its (height, width).

    Grey pictures stay grey, alpha and colour profile are kept. A png is written strip by strip, so that it may be
    larger than memory. Raises `SparsrError` for a bad picture, or if the format of `target` cannot hold the result;
    `target` is only there if all of it could be written.
    """
    kind = image_format(target)
    picture = read_image(source, max_pixels)
    height, width = (side * upscaler.scale for side in picture.rgb.shape[:2])
    if kind != "PNG":
        _refuse_misfit(target, kind, height, width, picture, upscaler)
    pixels = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    grey = _is_grey(picture.rgb)
    with Progress(source.name, unit="tiles") as progress:

        def on_tile(done: int, total: int) -> None:
            progress.total = total
            progress.advance()

        if kind == "PNG":
            strips = upscaler.strips(pixels, on_tile=on_tile)
            with atomic_file(target) as temporary, temporary.open("wb") as file:
                writer = PngWriter(file, height, width, pixels.shape[2], picture.icc_profile)
                for strip in strips:
                    writer.write(_without_colour(strip) if grey else strip)
                writer.finish()
        else:
            result = np.empty((height, width, pixels.shape[2]), np.uint8)
            row = 0
            for strip in upscaler.strips(pixels, reserve=result.nbytes, on_tile=on_tile):
                result[row : row + len(strip)] = _without_colour(strip) if grey else strip
                row += len(strip)
            alpha = None if picture.alpha is None else result[..., 3]
            write_image(target, Picture(result[..., :3], alpha, picture.icc_profile))
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
    if picture.alpha is not None and kind == "JPEG":
        raise SparsrError(f"{target}: a jpg cannot hold transparency", "name a png, tif or webp file")
    needed = upscaler.held + picture.rgb.nbytes + height * width * 3 * _ENCODER_COPIES
    if needed > upscaler.max_memory:
        raise SparsrError(
            f"{target}: writing {width}x{height} pixels as {kind} takes more than {format_bytes(upscaler.max_memory)}",
            f"name a png file, which is written piece by piece, or pass --max-memory {format_bytes(needed)}",
        )


def _is_grey(rgb: ByteArray) -> bool:
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())


def _without_colour(strip: ByteArray) -> ByteArray:
    """The strip with its three colours replaced by their mean, in place."""
    total = strip[..., 0].astype(np.uint16)
    total += strip[..., 1]
    total += strip[..., 2]
    strip[..., :3] = ((total + 1) // 3)[..., None]
    return strip
