"""Pictures of more than 8 bits a sample, which Pillow would cut: decoded by tifffile, pillow-heif and FFmpeg (PyAV)."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.ffmpeg import ACCURATE, import_av
from sparsr.runtime.media.psd import Psd
from sparsr.runtime.media.tiff_reading import read_page, unreadable
from sparsr.runtime.samples import BYTE, Samples, converted

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _EXTRA, _TILES = 258, 262, 339, 338, 322  # TIFF tags
_WHITE_IS_ZERO, _ASSOCIATED = 0, 1
_CMYK, _LAB = 5, 8  # photometric interpretations that profiles convert
_DEEP_PHOTOMETRICS = (0, 1, 2)  # both kinds of grey, and RGB
_FLOAT, _UNSIGNED = 3, 1
_MOST_CHANNELS = 6
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"  # the markers SOC and SIZ (ITU-T T.800, A.4 and A.5.1)
_HEADER = 1 << 16  # bytes that are searched for how many bits there are
_PLAIN_NETPBM = (b"P2", b"P3")
_DEMUXERS = {
    "PNG": "png_pipe",
    "SGI": "sgi_pipe",
    "PPM": "ppm_pipe",
    "JPEG2000": "j2k_pipe",
    "AVIF": "mov",
    "TIFF": "tiff_pipe",
}
_CHANNELS = {"gray": 1, "ya16": 2, "rgb48": 3, "rgba64": 4}


def _let_pillow_open() -> None:
    """Pillow identifies TIFF files by a table; let it read the headers of kinds that are decoded here."""
    table: Any = TiffImagePlugin.OPEN_INFO
    kinds = [(_FLOAT, bits) for bits in (16, 32, 64)] + [(_UNSIGNED, bits) for bits in (10, 12, 14, 16, 32)]
    for order, (kind, bits), channels in product((b"II", b"MM"), kinds, range(1, _MOST_CHANNELS + 1)):
        photometrics = (_WHITE_IS_ZERO, 1) if channels < 3 else (2,)
        colours = 1 if channels < 3 else 3
        mode = ("F", "LA")[channels - 1] if channels < 3 else ("RGB", "RGBA")[channels > 3]
        for photometric, extra in product(photometrics, _extras(channels - colours)):
            _add(table, order, photometric, kind, bits, channels, extra, mode)
    for order in (b"II", b"MM"):
        _add(table, order, _LAB, _UNSIGNED, 16, 3, (), "LAB")
        for bits, channels in product((8, 16), range(5, _MOST_CHANNELS + 1)):
            for extra in _extras(channels - 4):
                _add(table, order, _CMYK, _UNSIGNED, bits, channels, extra, "CMYK")


def _extras(count: int) -> list[tuple[int, ...]]:
    """What that many channels beyond the colours may be; where nothing is said, one is taken for transparency."""
    unsaid: list[tuple[int, ...]] = [()] if count < 2 else []
    return unsaid + [(first, *[0] * (count - 1)) for first in (0, 1, 2) if count]


def _add(
    table: Any, order: bytes, photometric: int, kind: int, bits: int, channels: int, extra: Any, mode: str
) -> None:
    for fill_order, formats in product((1, 2), (1, channels)):
        key = (order, photometric, (kind,) * formats, fill_order, (bits,) * channels, extra)
        table.setdefault(key, (mode, mode))


_let_pillow_open()


def bits(image: Image.Image, file: BinaryIO) -> int:
    """Bits a sample, from the file's header: Pillow turns many deep pictures into 8 bits without a word."""
    place = file.tell()  # where Pillow goes on
    file.seek(0)
    head = file.read(_HEADER)
    file.seek(place)
    if image.format == "PSD":
        return Psd(image, file).bits
    if image.format == "PNG":
        return head[24]  # IHDR is the first chunk
    if image.format == "TIFF" and image.mode != "CMYK":  # which Pillow makes 8 bits, as colour profiles are applied
        return int(max(image.tag_v2.get(_BITS, (1,))))  # type: ignore[attr-defined]
    if image.format == "JPEG2000" and (at := head.find(_JPEG2000_SIZE)) >= 0:
        return (head[at + 42] & 0x7F) + 1
    if image.format == "AVIF" and image.mode == "RGB":
        return pixi_bits(file)
    if image.format == "SGI":
        return 8 * head[3]
    if image.format == "PPM":
        return 16 if _netpbm_maximum(head) > 255 else 8
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    return 32 if image.mode in ("I", "F") or image.mode.startswith("I;16") else 8


def pixi_bits(file: BinaryIO) -> int:
    """Bits a channel that an AVIF file announces."""
    place = file.tell()
    file.seek(0)
    head = file.read(_HEADER)
    file.seek(place)
    at = head.find(b"pixi")
    return head[at + 9] if 0 <= at < len(head) - 9 else 8


def for_profiles(image: Image.Image, file: BinaryIO, where: Path) -> tuple[Image.Image, Samples | None] | None:
    """A TIFF in CMYK or Lab that Pillow does not read as Pillow's picture of 8 bits, which profiles are applied in.

    So are PSD of these kinds, and all of 8 bits. Beside it its transparency [h, w], uint8, if it has some. None for all
    others, and for what Pillow reads. Raises `SparsrError` if its compression cannot be read.
    """
    if image.format == "PSD":
        return _psd(Psd(image, file))
    tags: Any = getattr(image, "tag_v2", {})
    photometric, depths = tags.get(_PHOTOMETRIC), tags.get(_BITS, ())
    channels = {_CMYK: 4, _LAB: 3}.get(photometric, 0)
    if image.format != "TIFF" or not channels or not (set(depths) == {16} or len(depths) > channels):
        return None
    file.seek(0)
    pixels = read_page(file, image.tell())
    if pixels is None or pixels.dtype.kind not in "ui" or pixels.shape[2:] != (len(depths),):
        raise SparsrError(f"{where} holds its colours in a way that cannot be read here", "save it as RGB")
    deep = pixels.dtype.itemsize == 2
    levels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8) if deep else pixels.astype(np.uint8)
    if photometric == _LAB and deep:  # a and b are signed
        signed = np.round(pixels[..., 1:3].astype(np.uint16).view(np.int16) / 256)
        levels[..., 1:3] = signed.clip(-128, 127).astype(np.int8).view(np.uint8)
    alpha = levels[..., channels] if transparent(image) else None
    mode = "CMYK" if channels == 4 else "LAB"
    return Image.frombytes(mode, image.size, np.ascontiguousarray(levels[..., :channels]).tobytes()), alpha


def _psd(psd: Psd) -> tuple[Image.Image, Samples | None] | None:
    if not psd.mode or (psd.bits > 8 and psd.mode in ("L", "RGB")):
        return None
    samples = converted(psd.samples(), BYTE)
    colours, alpha = (samples[..., :-1], samples[..., -1]) if psd.transparent else (samples, None)
    if psd.mode == "CMYK":
        colours = 255 - colours
    if psd.mode == "LAB":  # whose a and b Pillow takes as signed numbers
        colours = colours ^ np.array([0, 128, 128], np.uint8)
    return Image.frombytes(psd.mode, psd.image.size, np.ascontiguousarray(colours).tobytes()), alpha


def transparent(image: Image.Image) -> bool:
    """Whether the first channel of an opened TIFF beyond the colours is its transparency."""
    tags: Any = getattr(image, "tag_v2", {})
    extra = np.atleast_1d(tags.get(_EXTRA, ()))
    return bool(extra[0]) if len(extra) else len(tags.get(_BITS, ())) in (2, 4) and tags.get(_PHOTOMETRIC) != _CMYK


def further_channels(image: Image.Image, file: BinaryIO) -> int:
    """Channels of an opened TIFF or PSD that are neither colours nor transparency, which are left out."""
    if image.format == "PSD":
        return Psd(image, file).further
    extra = np.atleast_1d(getattr(image, "tag_v2", {}).get(_EXTRA, ()))
    return len(extra) - bool(len(extra) and extra[0])


def read(image: Image.Image, file: BinaryIO, where: Path) -> Samples:
    """The samples of an opened picture: uint16 or float32 [h, w, 1 to 4], alpha last, as they lie in the file.

    Raises `SparsrError` for kinds of samples that have no meaning as colours.
    """
    file.seek(0)
    if image.format == "TIFF":
        return _tiff(image, file, where)
    if image.format == "PSD":
        return Psd(image, file).samples()
    if image.format == "HEIF":
        return _heif(file)
    if image.format == "PPM":
        head = file.read(_HEADER)
        file.seek(0)
        plain = head[:2] in _PLAIN_NETPBM
        pixels = _plain_netpbm(file.read(), image) if plain else _by_ffmpeg(file, "PPM")
        return _stretched(pixels, _netpbm_maximum(head), where)
    return _by_ffmpeg(file, str(image.format))


def _tiff(image: Image.Image, file: BinaryIO, where: Path) -> Samples:
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    kind, photometric = int(max(tags.get(_SAMPLE_FORMAT, (1,)))), tags.get(_PHOTOMETRIC, 1)
    if photometric not in _DEEP_PHOTOMETRICS or kind not in (_FLOAT, _UNSIGNED):
        signed = photometric in _DEEP_PHOTOMETRICS
        what = "signed or complex numbers" if signed else f"samples of {bits(image, file)} bits that are no RGB or grey"
        raise SparsrError(f"{where} holds {what}", "save it as 16-bit RGB")
    pixels = read_page(file, image.tell())
    maximum = 2 ** int(max(tags.get(_BITS, (16,)))) - 1
    if pixels is None:  # a compression that tifffile has no codec for
        if _TILES in tags or kind == _FLOAT:
            raise unreadable(where)
        file.seek(0)
        pixels, maximum = _by_ffmpeg(file, "TIFF"), 65535
    colours = 1 if photometric < _DEEP_PHOTOMETRICS[-1] else 3
    if pixels.ndim != 3 or pixels.shape[2] < colours:
        raise SparsrError(f"{where} has channels of the shape {pixels.shape}", "save it as RGB")
    pixels = pixels[..., : colours + (transparent(image) and pixels.shape[2] > colours)]
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32, copy=False)
        if not np.isfinite(pixels).all():
            raise SparsrError(f"{where} holds values that are no numbers (NaN or infinite)", "replace them")
    elif pixels.dtype == np.uint32:
        pixels = (pixels / np.float64(2**32 - 1)).astype(np.float32)
    else:
        pixels = _stretched(pixels, maximum, where)
        if photometric == _WHITE_IS_ZERO:
            pixels = np.uint16(65535) - pixels
    return _separated(pixels) if np.atleast_1d(tags.get(_EXTRA, (0,)))[0] == _ASSOCIATED else pixels


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


def _plain_netpbm(content: bytes, image: Image.Image) -> Any:
    """Samples written as words, which FFmpeg reads only if they have 8 bits."""
    words = re.sub(rb"#[^\r\n]*", b"", content[2:])
    width, height = image.size
    channels = 3 if content[:2] == b"P3" else 1
    numbers = np.fromstring(words.decode("ascii", "replace"), np.int64, sep=" ")[3:]
    count = height * width * channels
    if len(numbers) < count:
        raise ValueError(f"{count - len(numbers)} samples are missing")
    return numbers[:count].reshape(height, width, channels).clip(0, 65535).astype(np.uint16)


def _netpbm_maximum(head: bytes) -> int:
    """The third number of a PGM or PPM header; 1 of a bitmap."""
    words = [word for line in head[:512].split(b"\n") for word in line.partition(b"#")[0].split()]
    if words[:1] not in ([b"P2"], [b"P3"], [b"P5"], [b"P6"]) or len(words) < 4 or not words[3].isdigit():
        return 1
    return int(words[3])
