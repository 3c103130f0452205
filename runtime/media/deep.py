"""Pictures of more than 8 bits a sample, which Pillow would cut: decoded by tifffile, pillow-heif and FFmpeg (PyAV)."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.ffmpeg import ACCURATE, import_av
from sparsr.runtime.samples import Samples

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _EXTRA, _TILES = 258, 262, 339, 338, 322  # TIFF tags
_WHITE_IS_ZERO, _ASSOCIATED = 0, 1
_CMYK, _LAB = 5, 8  # photometric interpretations that profiles convert
_DEEP_PHOTOMETRICS = (0, 1, 2)  # both kinds of grey, and RGB
_FLOAT, _UNSIGNED = 3, 1
_FLOAT_DIFFERENCES = 3  # the predictor
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"  # the markers SOC and SIZ (ITU-T T.800, A.4 and A.5.1)
_HEADER = 1 << 16  # bytes that are searched for how many bits there are
_DEMUXERS = {"PNG": "png_pipe", "PPM": "ppm_pipe", "JPEG2000": "j2k_pipe", "AVIF": "mov", "TIFF": "tiff_pipe"}
_CHANNELS = {"gray": 1, "ya16": 2, "rgb48": 3, "rgba64": 4}


def _let_pillow_open() -> None:
    """Pillow identifies TIFF files by a table; let it read the headers of kinds that are decoded here."""
    table: Any = TiffImagePlugin.OPEN_INFO
    kinds = [(_FLOAT, bits) for bits in (16, 32, 64)] + [(_UNSIGNED, bits) for bits in (10, 12, 14, 16, 32)]
    for order, (kind, bits), channels in product((b"II", b"MM"), kinds, (1, 2, 3, 4)):
        photometrics = (_WHITE_IS_ZERO, 1) if channels < 3 else (2,)
        extras: list[tuple[int, ...]] = [()] if channels in (1, 3) else [(0,), (_ASSOCIATED,), (2,)]
        for photometric, extra, fill_order, formats in product(photometrics, extras, (1, 2), (1, channels)):
            key = (order, photometric, (kind,) * formats, fill_order, (bits,) * channels, extra)
            mode = {1: "F", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
            table.setdefault(key, (mode, mode))
    for order, formats, fill_order in product((b"II", b"MM"), (1, 3), (1, 2)):
        table.setdefault((order, _LAB, (_UNSIGNED,) * formats, fill_order, (16,) * 3, ()), ("LAB", "LAB"))


_let_pillow_open()


def bits(image: Image.Image, file: BinaryIO) -> int:
    """Bits a sample, from the file's header: Pillow turns many deep pictures into 8 bits without a word."""
    place = file.tell()  # where Pillow goes on
    file.seek(0)
    head = file.read(_HEADER)
    file.seek(place)
    if image.format == "PNG":
        return head[24]  # IHDR is the first chunk
    if image.format == "TIFF" and image.mode != "CMYK":  # which Pillow makes 8 bits, as colour profiles are applied
        return int(max(image.tag_v2.get(_BITS, (1,))))  # type: ignore[attr-defined]
    if image.format == "JPEG2000" and (at := head.find(_JPEG2000_SIZE)) >= 0:
        return (head[at + 42] & 0x7F) + 1
    if image.format == "AVIF" and image.mode == "RGB" and (at := head.find(b"pixi")) >= 0:
        return head[at + 9]
    if image.format == "PPM":
        return 16 if _netpbm_maximum(head) > 255 else 8
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    return 32 if image.mode in ("I", "F") or image.mode.startswith("I;16") else 8


def for_profiles(image: Image.Image, file: BinaryIO, where: Path) -> Image.Image | None:
    """A TIFF of 16 bits in CMYK or Lab as Pillow's picture of 8, which profiles are applied in; None for all others.

    Pillow itself reads only some of them. Raises `SparsrError` if its compression cannot be read.
    """
    tags: Any = getattr(image, "tag_v2", {})
    photometric = tags.get(_PHOTOMETRIC)
    channels = {_CMYK: 4, _LAB: 3}.get(photometric, 0)
    if image.format != "TIFF" or not channels or set(tags.get(_BITS, ())) != {16}:
        return None
    file.seek(0)
    pixels = _by_tifffile(file, image.tell())
    if pixels is None or pixels.dtype.kind not in "ui" or pixels.shape[2:] != (channels,):
        raise SparsrError(f"{where} holds 16-bit colours in a way that cannot be read here", "save it as 16-bit RGB")
    levels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if photometric == _LAB:  # a and b are signed
        signed = np.round(pixels[..., 1:].astype(np.uint16).view(np.int16) / 256)
        levels[..., 1:] = signed.clip(-128, 127).astype(np.int8).view(np.uint8)
    return Image.frombytes("CMYK" if channels == 4 else "LAB", image.size, levels.tobytes())


def read(image: Image.Image, file: BinaryIO, where: Path) -> Samples:
    """The samples of an opened picture: uint16 or float32 [h, w, 1 to 4], alpha last, as they lie in the file.

    Raises `SparsrError` for kinds of samples that have no meaning as colours.
    """
    file.seek(0)
    if image.format == "TIFF":
        return _tiff(image, file, where)
    if image.format == "HEIF":
        return _heif(file)
    pixels = _by_ffmpeg(file, str(image.format))
    if image.format == "PPM":
        file.seek(0)
        return _stretched(pixels, _netpbm_maximum(file.read(_HEADER)), where)
    return pixels


def _tiff(image: Image.Image, file: BinaryIO, where: Path) -> Samples:
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    kind, photometric = int(max(tags.get(_SAMPLE_FORMAT, (1,)))), tags.get(_PHOTOMETRIC, 1)
    if photometric not in _DEEP_PHOTOMETRICS or kind not in (_FLOAT, _UNSIGNED):
        raise SparsrError(
            f"{where} holds samples of {bits(image, file)} bits that are neither RGB nor grey", "save it as 16-bit RGB"
        )
    pixels = _by_tifffile(file, image.tell())
    if pixels is None:  # a compression that tifffile has no codec for
        if _TILES in tags or kind == _FLOAT:
            raise SparsrError(f"{where} is compressed in a way that cannot be read here", "pip install imagecodecs")
        file.seek(0)
        pixels = _by_ffmpeg(file, "TIFF")
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise SparsrError(f"{where} has channels of the shape {pixels.shape}", "save it as RGB")
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32, copy=False)
        if not np.isfinite(pixels).all():
            raise SparsrError(f"{where} holds values that are no numbers (NaN or infinite)", "replace them")
    elif pixels.dtype == np.uint32:
        pixels = (pixels / np.float64(2**32 - 1)).astype(np.float32)
    else:
        maximum = 2 ** int(max(tags.get(_BITS, (16,)))) - 1
        pixels = _stretched(pixels, maximum, where)
        if photometric == _WHITE_IS_ZERO:
            pixels = np.uint16(65535) - pixels
    return _separated(pixels) if _ASSOCIATED in np.atleast_1d(tags.get(_EXTRA, ())) else pixels


def _by_tifffile(file: BinaryIO, page: int) -> Any:
    """[h, w, channels], or None if a codec is missing."""
    try:
        import tifffile
    except ImportError:
        return None
    try:
        with tifffile.TiffFile(file) as tiff:
            chosen: Any = tiff.pages[page]
            if chosen.predictor == _FLOAT_DIFFERENCES:
                pixels = _of_differences(chosen, tiff.byteorder == ">")
            else:
                pixels = chosen.asarray()
            planar = chosen.planarconfig == 2 and pixels.ndim == 3
    except (ValueError, KeyError) as error:
        if "imagecodecs" in str(error):
            return None
        raise
    pixels = pixels.transpose(1, 2, 0) if planar else pixels
    return np.ascontiguousarray(pixels[..., None] if pixels.ndim == 2 else pixels)


def _of_differences(page: Any, big_endian: bool) -> Any:
    """Floating point stored as differences of bytes, which tifffile leaves to another package.

    A row of a strip or tile is stored as its most significant bytes, then the next ones and so on, each the difference
    to that of the pixel before (Adobe Photoshop TIFF Technical Note 3).
    """
    page.predictor = 1
    whole = np.zeros(page.shaped, page.dtype)  # [planes, depth, height, width, channels]
    height, width, channels = whole.shape[2:]
    for stored, (plane, _, top, left, _), _ in page.segments(maxworkers=1):
        if stored is not None:
            values = _summed(stored.byteswap() if big_endian else stored, channels)[0]
            part = whole[plane, 0, top : top + len(values), left : left + values.shape[1]]
            part[:] = values[: height - top, : width - left]
    return whole.reshape(page.shape)


def _summed(stored: Any, channels: int) -> Any:
    """The values of [depth, rows, width, channels] differences."""
    size, width = stored.dtype.itemsize, stored.shape[2]
    differences = np.ascontiguousarray(stored).view(np.uint8).reshape(-1, size * width, channels)
    planes = differences.cumsum(axis=1, dtype=np.uint8).reshape(len(differences), size, width * channels)
    values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{size}")
    return values.reshape(stored.shape).astype(stored.dtype)


def _heif(file: BinaryIO) -> Samples:
    import pillow_heif

    opened = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    pixels = np.asarray(opened)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _by_ffmpeg(file: BinaryIO, kind: str) -> Samples:
    """What FFmpeg decodes, as uint16 of the full range."""
    container: Any = import_av().open(file, format=_DEMUXERS[kind])
    with container:
        frame = next(container.decode(video=0))
    name = frame.format.name
    if name not in ("gray16be", "gray16le", "ya16be", "rgb48be", "rgb48le", "rgba64be", "rgba64le"):
        name = "rgba64le" if any(c.is_alpha for c in frame.format.components) else "rgb48le"
        frame = frame.reformat(format=name, interpolation=ACCURATE)
    channels = next(count for start, count in _CHANNELS.items() if name.startswith(start))
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), ">u2" if name.endswith("be") else "<u2").reshape(
        frame.height, plane.line_size // 2
    )
    return rows[:, : frame.width * channels].reshape(frame.height, frame.width, channels).astype(np.uint16)


def _stretched(pixels: Any, maximum: int, where: Path) -> Samples:
    """Values 0..maximum as 0..65535."""
    if not 255 < maximum <= 65535:
        raise SparsrError(f"{where} has samples of 0..{maximum}", "save it with 16 bits per channel")
    if maximum == 65535:
        return pixels.astype(np.uint16, copy=False)
    return ((pixels.astype(np.uint32) * 65535 + maximum // 2) // maximum).astype(np.uint16)


def _separated(pixels: Samples) -> Samples:
    """Colours that are multiplied by alpha, divided by it."""
    whole = np.float32(1 if pixels.dtype == np.float32 else 65535)
    alpha = pixels[..., -1:].astype(np.float32)
    colours = pixels[..., :-1] * np.divide(whole, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    return np.concatenate([np.clip(colours, 0, whole).astype(pixels.dtype), pixels[..., -1:]], axis=2)


def _netpbm_maximum(head: bytes) -> int:
    """The third number of a PGM or PPM header; 1 of a bitmap."""
    words = [word for line in head[:512].split(b"\n") for word in line.partition(b"#")[0].split()]
    if words[:1] not in ([b"P2"], [b"P3"], [b"P5"], [b"P6"]) or len(words) < 4 or not words[3].isdigit():
        return 1
    return int(words[3])
