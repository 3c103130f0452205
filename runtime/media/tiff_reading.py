"""TIFF files of more than 8 bits, or in more channels than Pillow takes, decoded by tifffile.

tifffile leaves most codecs to another package (imagecodecs), and the differences of floating point. Those that Pillow's
libtiff has are borrowed from there: every strip or tile is handed to it as a grey picture of 8 bits as wide as its rows
have bytes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from sparsr.runtime.errors import SparsrError

_NONE, _HORIZONTAL, _FLOATING = 1, 2, 3  # predictors
_STORED = 1  # a compression: none
_BORROWED = (5, 8, 32773, 32946, 34925, 50000)  # LZW, Deflate, PackBits, Deflate, LZMA, ZSTD
_PACKED = (10, 12, 14)  # bits a sample
_SHORT, _LONG = 3, 4
_MANY = 4096  # pages that are looked at


def page_kinds(file: BinaryIO) -> list[int]:
    """NewSubfileType (TIFF 6.0, section 8) of every page, 0 where it says nothing; [] of what is no TIFF."""
    place = file.tell()  # where Pillow goes on
    try:
        return _page_kinds(file)
    finally:
        file.seek(place)


def _page_kinds(file: BinaryIO) -> list[int]:
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack_from(order + "H", head, 2)[0] if order and len(head) == 16 else 0
    if version not in (42, 43):
        return []
    big = version == 43
    at = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
    count_format, entry_size, link = (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
    kinds, seen = list[int](), set[int]()
    while at and at not in seen and len(kinds) < _MANY:
        seen.add(at)
        file.seek(at)
        header = file.read(struct.calcsize(count_format))
        count = struct.unpack(count_format, header)[0] if len(header) == struct.calcsize(count_format) else 0
        entries = file.read(min(count, _MANY) * entry_size)
        after = file.read(struct.calcsize(link))
        if not count or len(entries) < count * entry_size:
            break
        tags = {
            struct.unpack_from(order + "H", entries, place)[0]: place for place in range(0, len(entries), entry_size)
        }
        kind_at = tags.get(254)
        value_at = 12 if big else 8
        kinds.append(0 if kind_at is None else struct.unpack_from(order + "I", entries, kind_at + value_at)[0])
        at = struct.unpack(link, after)[0] if len(after) == struct.calcsize(link) else 0
    return kinds


def unreadable(where: Path) -> SparsrError:
    """What to say of a page that only tifffile reads, where `read_page` could not."""
    try:
        import tifffile  # noqa: F401
    except ImportError:
        what = "holds floating-point numbers, or tiles of more than 8 bits, which take the package tifffile"
        return SparsrError(f"{where} {what}", "pip install 'sparsr[pictures]'")
    return SparsrError(f"{where} is compressed in a way that cannot be read here", "pip install imagecodecs")


def read_page(file: BinaryIO, number: int) -> Any:
    """[height, width, channels] as stored; None if tifffile or a codec is missing."""
    try:
        import tifffile
    except ImportError:
        return None
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[number]
        pixels = None
        if page.predictor != _FLOATING:
            try:
                pixels = page.asarray()
            except Exception as error:  # of many types, where codecs are missing
                if "imagecodecs" not in str(error) and not isinstance(error, ImportError):
                    raise
        if pixels is None and (pixels := _by_segments(page, tiff.byteorder)) is None:
            return None
        planar = page.planarconfig == 2 and pixels.ndim == 3
    pixels = pixels.transpose(1, 2, 0) if planar else pixels
    return np.ascontiguousarray(pixels[..., None] if pixels.ndim == 2 else pixels)


def _by_segments(page: Any, order: str) -> Any:
    """The pixels, by codecs of Pillow; None if it has none for them."""
    kind = page.dtype
    if page.compression not in (_STORED, *_BORROWED) or page.predictor > _FLOATING or page.fillorder != 1:
        return None
    bits = page.bitspersample
    packed = bits in _PACKED and kind == np.uint16 and page.predictor == _NONE
    if kind is None or not (packed or bits == 8 * kind.itemsize):
        return None
    whole = np.zeros(page.shaped, kind)  # [planes, depth, height, width, channels]
    height, width, channels = whole.shape[2:]
    for plane, top, left, rows, columns, data in _segments(page, height, width):
        decompressed = _decompressed(data, page.compression, rows, -(-columns * channels * bits // 8))
        content = np.frombuffer(decompressed, np.uint8).reshape(rows, -1)
        if packed:
            values = _unpacked(content, bits, columns * channels).reshape(rows, columns, channels)
        else:
            values = _values(content, kind, channels, page.predictor, order)
        part = whole[plane, 0, top : top + rows, left : left + columns]
        part[:] = values[: part.shape[0], : part.shape[1]]
    return whole.reshape(page.shape)


def _segments(page: Any, height: int, width: int) -> Iterator[tuple[int, int, int, int, int, bytes]]:
    """(plane, top, left, rows, columns, data) of the strips or tiles; tiles may reach beyond the picture."""
    most, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    across, down = -(-width // columns), -(-height // most)
    file = page.parent.filehandle
    for number, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
        plane, place = divmod(number, across * down)
        top = place // across * most
        if length and plane < page.shaped[0]:
            rows = most if page.is_tiled else min(most, height - top)
            file.seek(offset)
            yield plane, top, place % across * columns, rows, columns, file.read(length)


def _decompressed(data: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    if compression == _STORED:
        return data[: rows * row_bytes].ljust(rows * row_bytes, b"\0")
    entries = [
        (256, _LONG, row_bytes), (257, _LONG, rows), (258, _SHORT, 8), (259, _SHORT, compression), (262, _SHORT, 1),
        (273, _LONG, 8), (277, _SHORT, 1), (278, _LONG, rows), (279, _LONG, len(data)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries) + bytes(4)
    file = struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory
    with Image.open(io.BytesIO(file), formats=("TIFF",)) as image:
        return image.tobytes()


def _unpacked(content: Any, bits: int, count: int) -> Any:
    """[rows, count] numbers of so many bits, the highest bit first."""
    found = np.unpackbits(content, axis=1)[:, : count * bits].reshape(len(content), count, bits)
    return found @ (1 << np.arange(bits - 1, -1, -1, dtype=np.uint16))


def _values(content: Any, kind: np.dtype, channels: int, predictor: int, order: Any) -> Any:
    """[rows, columns, channels] of rows of bytes."""
    size, rows = kind.itemsize, len(content)
    if predictor == _FLOATING:  # see Adobe Photoshop TIFF Technical Note 3
        # A row is stored as its most significant bytes, then the next ones, each the difference to the pixel before.
        sums = content.reshape(rows, -1, channels).cumsum(axis=1, dtype=np.uint8)
        planes = sums.reshape(rows, size, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(planes).view(kind.newbyteorder(">")).reshape(rows, -1, channels).astype(kind)
    values = content.view(kind.newbyteorder(order)).astype(kind).reshape(rows, -1, channels)
    if predictor == _HORIZONTAL:
        bits = np.dtype(f"u{size}")
        values = values.view(bits).cumsum(axis=1, dtype=bits).view(kind)
    return values
