"""Writing PNG files row by row (PNG, third edition, W3C 2025), for pictures that do not fit into memory.

Image libraries want the whole picture; a 4000x3000 photo at x4 is 576 MB, and as much again inside the encoder.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.errors import MisfitError
from sparsr.runtime.media.frames import Timing
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.samples import Samples

ByteArray = NDArray[np.uint8]
MAX_SIDE = 2**31 - 1
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> grey, grey with alpha, RGB, RGB with alpha
_CHUNK = 1 << 20
_ROWS = 32  # filtered together at most
_AT_ONCE = 1 << 16  # bytes filtered together: what filtering takes beside them is some 25 times as much
_LEVEL = 4  # of zlib: 6 is a third slower for about 1 % smaller photos
_INCH = 0.0254  # metres


class PngWriter:
    """Writes strips of rows to the open `file`; call `finish` after the last.

    timing: of an animation, whose frames follow each other, each of `height` rows.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, int, int],
        dtype: np.dtype,
        metadata: Metadata,
        timing: Timing | None = None,
    ) -> None:
        height, width, channels = shape
        if max(height, width) > MAX_SIDE:
            raise MisfitError(f"a png cannot hold {width}x{height} pixels")
        self._file, self._height, self._width, self._timing = file, height, width, timing
        self._bytes_per_pixel = channels * dtype.itemsize
        self._frame = self._sequence = 0
        self._left, self._above, self._pending = height, self._row_of_zeros(), bytearray()
        self._compressor = zlib.compressobj(_LEVEL)
        file.write(b"\x89PNG\r\n\x1a\n")
        header = struct.pack(">IIBBBBB", width, height, 8 * dtype.itemsize, _COLOUR_TYPES[channels], 0, 0, 0)
        self._chunk(b"IHDR", header)
        if timing:
            self._chunk(b"acTL", struct.pack(">II", len(timing.milliseconds), timing.loops))
        self._describe(metadata)

    def write(self, strip: Samples) -> None:
        """Append rows: [rows, width, channels]."""
        if not len(strip):
            return
        if not self._left and self._timing:
            self._begin_frame()
        if self._left == self._height and self._timing:
            self._control()
        count = max(1, min(_ROWS, _AT_ONCE // self._above.size))
        for start in range(0, len(strip), count):
            rows = _bytes(strip[start : start + count]).reshape(-1, self._above.shape[1])
            filtered = filter_rows(rows, np.concatenate([self._above, rows[:-1]]), self._bytes_per_pixel)
            self._above = rows[-1:].copy()
            self._left -= len(rows)
            self._compressed(self._compressor.compress(filtered))
        if not self._left:
            self._end_frame()

    def finish(self) -> None:
        """Write the end of the file."""
        if self._left:
            raise ValueError(f"{self._left} rows are missing")
        self._chunk(b"IEND", b"")

    def _begin_frame(self) -> None:
        self._left, self._above, self._pending = self._height, self._row_of_zeros(), bytearray()
        self._compressor = zlib.compressobj(_LEVEL)

    def _row_of_zeros(self) -> ByteArray:
        return np.zeros((1, self._width * self._bytes_per_pixel), np.uint8)

    def _control(self) -> None:
        """The frame control of an animation: a whole picture in place of the one before."""
        assert self._timing
        delay = min(65_535, max(0, round(self._timing.milliseconds[self._frame])))
        fields = (self._sequence, self._width, self._height, 0, 0, delay, 1000, 0, 0)
        self._chunk(b"fcTL", struct.pack(">IIIIIHHBB", *fields))
        self._sequence += 1

    def _end_frame(self) -> None:
        self._compressed(self._compressor.flush())
        if self._pending:
            self._data(self._pending)
        self._frame += 1

    def _compressed(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= _CHUNK:
            self._data(self._pending)
            self._pending.clear()

    def _data(self, data: bytes | bytearray) -> None:
        if not self._frame:
            self._chunk(b"IDAT", data)
            return
        self._chunk(b"fdAT", struct.pack(">I", self._sequence) + data)
        self._sequence += 1

    def _describe(self, metadata: Metadata) -> None:
        for name, data in metadata.chunks:
            self._chunk(name, data)
        if metadata.icc_profile:
            self._chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile))
        if metadata.dpi:
            self._chunk(b"pHYs", struct.pack(">IIB", *(round(value / _INCH) for value in metadata.dpi), 1))
        if metadata.exif:
            self._chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
        if metadata.xmp:
            self._chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
        if metadata.comment:
            self._chunk(b"iTXt", b"Comment\0\0\0\0\0" + metadata.comment.encode())

    def _chunk(self, name: bytes, data: bytes | bytearray) -> None:
        self._file.write(struct.pack(">I", len(data)) + name)
        self._file.write(data)
        self._file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _bytes(rows: Samples) -> ByteArray:
    """Samples as they lie in the file: the higher byte first."""
    return np.ascontiguousarray(rows, rows.dtype.newbyteorder(">")).view(np.uint8)


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
