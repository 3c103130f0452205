"""Reading and writing pictures: RGB arrays, with alpha and what the file says about them beside them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.runtime.media import deep
from sparsr.runtime.media.formats import READ_SUFFIXES, written_format
from sparsr.runtime.media.metadata import Metadata, orientation, read_metadata
from sparsr.runtime.media.nclx import signalling
from sparsr.runtime.media.opening import MAX_PIXELS, Opened, check_size, decoding, opened
from sparsr.runtime.media.strip_writers import refuse_misfit, strip_writer
from sparsr.runtime.samples import BYTE, Samples, converted

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_CONVERTED = ("CMYK", "LAB", "HSV")  # to sRGB
_MODES = {*_GREY_MODES, *_ALPHA_MODES, "P", "RGB", "RGBX", "YCbCr"}
_MAYBE_UNUSED_ALPHA = ("BMP", "TGA", "DIB")  # of which many writers leave the fourth byte zero
_WITH_BOXES = ("AVIF", "HEIF")
_TURNED = (5, 6, 7, 8)  # orientations that exchange width and height
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ROWS = 128  # converted at once


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, the right way up."""

    rgb: Samples
    """[height, width, 3]."""
    alpha: Samples | None = None
    """[height, width] of the same type; the largest value is opaque."""
    metadata: Metadata = field(default_factory=Metadata)
    grey: bool = False
    """Whether the file has no colours, but one channel."""
    remark: str | None = None
    """What about the picture is not as the file has it."""


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS, keep_depth: bool = False) -> Picture:
    """Decode a picture file; of several pictures in one file the first. `Path("-")` is standard input.

    Grey and palette pictures become RGB, CMYK and Lab are converted through their profiles, orientation is applied.
    Samples are uint8; keep_depth: uint16 for files of 9 to 16 bits, float32 for floating point, else those are rounded.
    Raises `SparsrError` if the file is missing, empty, damaged or not an image, or if its header announces more than
    `max_pixels` pixels (checked before anything is decoded).
    """
    with opened(path) as source:
        check_size(source.image, source.path, max_pixels)
        picture = read_frame(source)
    return picture if keep_depth else in_8_bits(picture)


def write_image(path: str | Path, image: Picture | Samples) -> None:
    """Write a picture or an [height, width, 3] RGB array in the format of the suffix, atomically.

    jpg is written at quality 95 without chroma subsampling, webp without loss. Raises `SparsrError` for a
    suffix that is not an image format, for alpha in a format without, and for a size the format cannot hold.
    """
    path = Path(path)
    picture = image if isinstance(image, Picture) else Picture(image)
    kind, pixels = written_format(path), joined(picture)
    refuse_misfit(path, kind, pixels.shape[0], pixels.shape[1], picture.alpha is not None)
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        writer = strip_writer(file, kind, pixels.shape, pixels.dtype, picture.metadata)
        writer.write(pixels)
        writer.finish()


def joined(picture: Picture) -> Samples:
    """The picture as it is written: [height, width, channels], with one or two channels if it is grey."""
    colours = picture.rgb[..., :1] if picture.grey else picture.rgb
    return colours if picture.alpha is None else np.dstack([colours, picture.alpha])


def in_8_bits(picture: Picture) -> Picture:
    """The picture rounded to 8 bits a sample."""
    alpha = None if picture.alpha is None else converted(picture.alpha, BYTE)
    return replace(picture, rgb=converted(picture.rgb, BYTE), alpha=alpha)


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
        if path.suffix.lower() in READ_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        suffixes = " ".join(READ_SUFFIXES)
        raise SparsrError(f"there are no images in {folder}", f"it needs files ending in {suffixes}")
    return found


def read_frame(source: Opened) -> Picture:
    """The picture that an opened file stands at. Raises `SparsrError` if it is damaged."""
    with decoding(source.path):
        return _decoded(source)


def _decoded(source: Opened) -> Picture:
    image = source.image
    turn = orientation(image, source.chunks)
    plain = deep.for_profiles(image, source.file, source.path) if source.reads_deep else None
    if plain is None and source.reads_deep and deep.bits(image, source.file) > 8:
        pixels = _upright(deep.read(image, source.file, source.path), 1 if image.format == "HEIF" else turn)
        grey = pixels.shape[2] < 3
        metadata = _described(source, grey)
        return Picture(*_parts(pixels), metadata, grey, _sentence(_left_out(source)))
    profile = image.info.get("icc_profile")
    image, extra_alpha = plain or (source.load(), None)
    remarks = [source.remark]
    if plain is None:
        turn = orientation(image, source.chunks)  # Pillow has applied that of a TIFF
    if image.mode in _CONVERTED:
        from sparsr.runtime.media.colours import to_srgb  # with LittleCMS, which few pictures need

        image, how = to_srgb(image, profile)
        remarks.append(how)
    if image.mode not in _MODES:
        raise SparsrError(f"{source.path} has the colour model {image.mode}, not RGB or grey", "save it as RGB")
    grey = image.mode in _GREY_MODES
    metadata = _described(source, grey)
    image = image.transpose(_TRANSPOSED[turn]) if turn in _TRANSPOSED else image
    rgb, alpha = _converted(image)
    if extra_alpha is not None:
        alpha = _upright(extra_alpha, turn)
    if source.image.format == "AVIF" and alpha is not None and deep.pixi_bits(source.file) > 8:
        remarks.append("more than 8 bits a channel cut to 8: together with transparency no decoder here gives them")
    if alpha is not None and source.image.format in _MAYBE_UNUSED_ALPHA and not alpha.any():
        alpha = None
    return Picture(rgb, alpha, metadata, grey, _sentence(*remarks, _left_out(source)))


def _described(source: Opened, grey: bool) -> Metadata:
    metadata = read_metadata(source.image, source.chunks, grey)
    if source.image.format not in _WITH_BOXES or metadata.icc_profile:
        return metadata
    return replace(metadata, chunks=signalling(source.file))


def _left_out(source: Opened) -> str | None:
    count = deep.further_channels(source.image, source.file)
    return f"left out: {count} further channels, which are neither colours nor transparency" if count else None


def _sentence(*remarks: str | None) -> str | None:
    """Remarks as one."""
    return "; ".join(remark for remark in remarks if remark) or None


def _converted(image: Image.Image) -> tuple[Samples, Samples | None]:
    """The decoded image as arrays, some rows at a time: conversions of the whole would take its memory three times."""
    width, height = image.size
    has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
    rgb = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha else None
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        pixels = np.asarray(image.crop((0, top, width, bottom)).convert("RGBA" if has_alpha else "RGB"))
        rgb[top:bottom] = pixels[..., :3]
        if alpha is not None:
            alpha[top:bottom] = pixels[..., 3]
    return rgb, alpha


def _parts(pixels: Samples) -> tuple[Samples, Samples | None]:
    """Colours and alpha of [h, w, 1 to 4]."""
    channels = pixels.shape[2]
    rgb = pixels[..., :3] if channels >= 3 else pixels[..., :1].repeat(3, axis=2)
    return rgb, pixels[..., -1] if channels in (2, 4) else None


def _upright(pixels: Samples, turn: int) -> Samples:
    """The pixels as orientation `turn` asks for them."""
    if turn in _TURNED:
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
