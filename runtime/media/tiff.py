"""Writing TIFF files strip by strip (TIFF 6.0, with Adobe's Deflate), for pictures larger than memory."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.errors import SparsrError

_MOST_BYTES = 2**32 - 2**20  # offsets have 32 bits; some room for the directory
_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_FORMATS = {_SHORT: "H", _LONG: "I"}
_DEFLATE, _HORIZONTAL, _UNASSOCIATED_ALPHA = 8, 2, 2
_LEVEL = 4  # of zlib, as for png
_ROWS = 32  # of a strip of the file


class TiffWriter:
    """Writes strips of rows to the open `file`, without loss; call `finish` after the last."""

    def __init__(self, file: BinaryIO, height: int, width: int, channels: int, icc_profile: bytes | None) -> None:
        self._file, self._shape, self._icc_profile = file, (height, width, channels), icc_profile
        self._waiting = np.empty((0, width, channels), np.uint8)  # less than a strip
        self._strips: list[tuple[int, int]] = []  # offset and bytes
        self._taken = 0
        file.write(b"II*\0\0\0\0\0")  # the directory's place is filled in at the end

    def write(self, strip: ByteArray) -> None:
        """Append rows: uint8 [rows, width, channels]. Raises `SparsrError` where the file would get too large."""
        self._taken += len(strip)
        rows = np.concatenate([self._waiting, strip]) if len(self._waiting) else strip
        whole = len(rows) - len(rows) % _ROWS
        for start in range(0, whole, _ROWS):
            self._compress(rows[start : start + _ROWS])
        self._waiting = rows[whole:].copy()

    def finish(self) -> None:
        """Write what is pending and the directory."""
        height, width, channels = self._shape
        if self._taken != height:
            raise ValueError(f"{height - self._taken} rows are missing")
        if len(self._waiting):
            self._compress(self._waiting)
        entries = [
            (256, _LONG, [width]),
            (257, _LONG, [height]),
            (258, _SHORT, channels * [8]),
            (259, _SHORT, [_DEFLATE]),
            (262, _SHORT, [2]),  # RGB
            (273, _LONG, [offset for offset, _ in self._strips]),
            (277, _SHORT, [channels]),
            (278, _LONG, [_ROWS]),
            (279, _LONG, [size for _, size in self._strips]),
            (284, _SHORT, [1]),  # the channels of a pixel together
            (317, _SHORT, [_HORIZONTAL]),
        ]
        if channels == 4:
            entries.append((338, _SHORT, [_UNASSOCIATED_ALPHA]))
        fields = [(tag, kind, len(values), _packed(kind, values)) for tag, kind, values in entries]
        if self._icc_profile:
            fields.append((34675, _UNDEFINED, len(self._icc_profile), self._icc_profile))
        self._directory(fields)

    def _directory(self, fields: list[tuple[int, int, int, bytes]]) -> None:
        directory = struct.pack("<H", len(fields))
        for tag, kind, count, content in fields:
            place = content.ljust(4, b"\0") if len(content) <= 4 else struct.pack("<I", self._append(content))
            directory += struct.pack("<HHI", tag, kind, count) + place
        offset = self._append(directory + struct.pack("<I", 0))
        self._file.seek(4)
        self._file.write(struct.pack("<I", offset))

    def _compress(self, rows: ByteArray) -> None:
        """Every value as the difference to the one of the pixel to its left (section 14), then Deflate."""
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        content = zlib.compress(differences.data, _LEVEL)
        self._strips.append((self._append(content), len(content)))

    def _append(self, content: bytes) -> int:
        """The offset, which is even, of what is written at the end."""
        offset = self._file.seek(0, 2)
        if offset + len(content) > _MOST_BYTES:
            raise SparsrError("a tif holds at most 4 GiB", "name a png file")
        self._file.write(content + b"\0" * (len(content) % 2))
        return offset


def _packed(kind: int, values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)
