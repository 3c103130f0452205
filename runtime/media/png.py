"""Writing PNG files row by row (PNG, third edition, W3C 2025), for pictures that do not fit into memory.

Image libraries want the whole picture; a 4000x3000 photo at x4 is 576 MB, and as much again inside the encoder.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.errors import SparsrError

ByteArray = NDArray[np.uint8]
MAX_SIDE = 2**31 - 1
_COLOUR_TYPES = {3: 2, 4: 6}  # channels -> RGB, RGB with alpha
_CHUNK = 1 << 20
_ROWS = 32  # filtered together at most
_AT_ONCE = 1 << 18  # bytes filtered together: what filtering takes beside them is some 25 times as much
_LEVEL = 4  # of zlib: 6 is a third slower for about 1 % smaller photos


class PngWriter:
    """Writes strips of rows to the open `file`; call `finish` after the last."""

    def __init__(
        self, file: BinaryIO, height: int, width: int, channels: int, icc_profile: bytes | None = None
    ) -> None:
        if max(height, width) > MAX_SIDE:
            raise SparsrError(f"a png cannot hold {width}x{height} pixels")
        self._file = file
        self._left = height
        self._bytes_per_pixel = channels
        self._above = np.zeros((1, width * channels), np.uint8)
        self._compressor = zlib.compressobj(_LEVEL)
        self._pending = bytearray()
        file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0))
        if icc_profile:
            self._chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile))

    def write(self, strip: ByteArray) -> None:
        """Append rows: uint8 [rows, width, channels]."""
        count = max(1, min(_ROWS, _AT_ONCE // self._above.size))
        for start in range(0, len(strip), count):
            rows = strip[start : start + count].reshape(-1, self._above.shape[1])
            filtered = filter_rows(rows, np.concatenate([self._above, rows[:-1]]), self._bytes_per_pixel)
            self._above = rows[-1:].copy()
            self._left -= len(rows)
            self._compressed(self._compressor.compress(filtered))

    def finish(self) -> None:
        """Write what is pending and the end of the file."""
        if self._left:
            raise ValueError(f"{self._left} rows are missing")
        self._compressed(self._compressor.flush())
        if self._pending:
            self._chunk(b"IDAT", self._pending)
        self._chunk(b"IEND", b"")

    def _compressed(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= _CHUNK:
            self._chunk(b"IDAT", self._pending)
            self._pending.clear()

    def _chunk(self, name: bytes, data: bytes | bytearray) -> None:
        self._file.write(struct.pack(">I", len(data)) + name)
        self._file.write(data)
        self._file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def filter_rows(rows: ByteArray, above: ByteArray, bytes_per_pixel: int) -> bytes:
    """Filtered scanlines (section 9): per row the type with the smallest sum of absolute differences (12.7).

    rows, above: uint8 [n, bytes]; `above` holds the row before each. Sub, Up and Paeth are tried; None and Average
    hardly ever win on photos.
    """
    left, corner = (_moved(data, bytes_per_pixel) for data in (rows, above))
    filtered = np.stack([rows - left, rows - above, rows - _paeth(left, above, corner)])
    sums = np.abs(filtered.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
    chosen = sums.argmin(axis=0)
    types = np.array([1, 2, 4], np.uint8)[chosen]
    return np.column_stack([types, filtered[chosen, np.arange(len(rows))]]).tobytes()


def _moved(rows: ByteArray, amount: int) -> ByteArray:
    """Every byte of a row replaced by the one of the pixel to its left, zero at the border."""
    moved = np.zeros_like(rows)
    moved[:, amount:] = rows[:, :-amount]
    return moved


def _paeth(left: ByteArray, above: ByteArray, corner: ByteArray) -> ByteArray:
    """The neighbour nearest to left + above - corner; ties in that order (section 9.4)."""
    a, b, c = (data.astype(np.int16) for data in (left, above, corner))
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
