"""Writing TIFF files strip by strip (TIFF 6.0, with Adobe's Deflate), for pictures larger than memory."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from sparsr.runtime.errors import MisfitError
from sparsr.runtime.media.metadata import DESCRIPTIVE, IPTC, PHOTOSHOP, Metadata, iptc_record, parsed
from sparsr.runtime.samples import Samples

_MOST_BYTES = 2**32 - 2**20  # offsets have 32 bits; some room for the directory
_BYTE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 3, 4, 5, 7
_FORMATS = {_SHORT: "H", _LONG: "I", _RATIONAL: "I"}
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8}  # by type
_DEFLATE, _NO_PREDICTOR, _HORIZONTAL, _UNASSOCIATED_ALPHA = 8, 1, 2, 2
_GREY, _RGB = 1, 2
_UNSIGNED, _FLOATING = 1, 3
_X_RESOLUTION, _Y_RESOLUTION, _UNIT, _INCHES = 282, 283, 296, 2
_BYTES_OF_PLACES = ((0x8825, 0), (0x8825, 5))  # version, and whether a height is below the sea
_XMP, _PROFILE, _SUB_DIRECTORIES = 700, 34675, (0x8769, 0x8825)
_FIRST_LINK = 4  # where the header has the offset of the first directory
_LEVEL = 4  # of zlib, as for png
_ROWS = 32  # of a strip of the file


class TiffWriter:
    """Writes strips of rows to the open `file`, without loss; call `finish` after the last.

    link: where the offset of this page's directory is to be written; of a page that follows another, its `next_link`.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, int, int],
        dtype: np.dtype,
        metadata: Metadata,
        link: int = _FIRST_LINK,
    ) -> None:
        self._file, self._shape, self._dtype, self._metadata, self._link = file, shape, dtype, metadata, link
        self._waiting: Samples = np.empty((0, *shape[1:]), dtype)  # less than a strip
        self._strips: list[tuple[int, int]] = []  # offset and bytes
        self._taken = 0
        self.next_link = 0
        if link == _FIRST_LINK:
            file.write(b"II*\0\0\0\0\0")

    def write(self, strip: Samples) -> None:
        """Append rows: [rows, width, channels]. Raises `SparsrError` where the file would get too large."""
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
        floating = self._dtype.kind == "f"
        entries = [
            (256, _LONG, [width]),
            (257, _LONG, [height]),
            (258, _SHORT, channels * [8 * self._dtype.itemsize]),
            (259, _SHORT, [_DEFLATE]),
            (262, _SHORT, [_RGB if channels > 2 else _GREY]),
            (273, _LONG, [offset for offset, _ in self._strips]),
            (277, _SHORT, [channels]),
            (278, _LONG, [_ROWS]),
            (279, _LONG, [size for _, size in self._strips]),
            (284, _SHORT, [1]),  # the channels of a pixel together
            (317, _SHORT, [_NO_PREDICTOR if floating else _HORIZONTAL]),
            (339, _SHORT, channels * [_FLOATING if floating else _UNSIGNED]),
        ]
        if channels in (2, 4):
            entries.append((338, _SHORT, [_UNASSOCIATED_ALPHA]))
        fields = [(tag, kind, len(values), _packed(kind, values)) for tag, kind, values in entries]
        self._directory(sorted([*fields, *self._described()]))

    def _described(self) -> list[tuple[int, int, int, bytes]]:
        """Fields of the metadata."""
        metadata, fields = self._metadata, {}
        if metadata.dpi:
            for tag, value in zip((_X_RESOLUTION, _Y_RESOLUTION), metadata.dpi, strict=True):
                fields[tag] = (tag, _RATIONAL, 1, _packed(_RATIONAL, [round(value * 1000), 1000]))
            fields[_UNIT] = (_UNIT, _SHORT, 1, _packed(_SHORT, [_INCHES]))
        if metadata.exif:
            block = parsed(metadata.exif)
            block.endian = "<"
            fields |= {field[0]: field for field in _descriptive(block.tobytes().removeprefix(b"Exif\0\0"))}
            fields |= {field[0]: field for field in self._sub_directories(metadata.exif)}
        if metadata.xmp:
            fields[_XMP] = (_XMP, _BYTE, len(metadata.xmp), metadata.xmp)
        if metadata.iptc:
            fields[PHOTOSHOP] = (PHOTOSHOP, _BYTE, len(metadata.iptc), metadata.iptc)
            if record := iptc_record(metadata.iptc):
                fields[IPTC] = (IPTC, _UNDEFINED, len(record), record)
        if metadata.icc_profile:
            fields[_PROFILE] = (_PROFILE, _UNDEFINED, len(metadata.icc_profile), metadata.icc_profile)
        return list(fields.values())

    def _sub_directories(self, exif: bytes) -> list[tuple[int, int, int, bytes]]:
        """Fields that point to the directories of camera and place, which are written."""
        fields, block = [], parsed(exif)
        for tag in _SUB_DIRECTORIES:
            if entries := block.get_ifd(tag):
                directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
                for number, value in entries.items():
                    directory[number] = value
                    if isinstance(value, bytes) and (tag, number) not in _BYTES_OF_PLACES:
                        directory.tagtype[number] = _UNDEFINED
                offset = self._file.seek(0, 2)
                fields.append((tag, _LONG, 1, _packed(_LONG, [self._append(directory.tobytes(offset))])))
        return fields

    def _directory(self, fields: list[tuple[int, int, int, bytes]]) -> None:
        directory = struct.pack("<H", len(fields))
        for tag, kind, count, content in fields:
            place = content.ljust(4, b"\0") if len(content) <= 4 else struct.pack("<I", self._append(content))
            directory += struct.pack("<HHI", tag, kind, count) + place
        offset = self._append(directory + struct.pack("<I", 0))
        self.next_link = offset + len(directory)
        self._file.seek(self._link)
        self._file.write(struct.pack("<I", offset))
        self._file.seek(0, 2)

    def _compress(self, rows: Samples) -> None:
        """Every value as the difference to the one of the pixel to its left (section 14), then Deflate."""
        differences = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")).copy()
        if rows.dtype.kind != "f":
            differences[:, 1:] -= rows[:, :-1]
        content = zlib.compress(differences.data, _LEVEL)
        self._strips.append((self._append(content), len(content)))

    def _append(self, content: bytes) -> int:
        """The offset, which is even, of what is written at the end."""
        offset = self._file.seek(0, 2)
        if offset + len(content) > _MOST_BYTES:
            raise MisfitError("a tif holds at most 4 GiB", "name a png file")
        self._file.write(content + b"\0" * (len(content) % 2))
        return offset


def _packed(kind: int, values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)


def _descriptive(exif: bytes) -> list[tuple[int, int, int, bytes]]:
    """The fields of a block's first directory that describe the picture; the block's numbers are little-endian."""
    at = struct.unpack_from("<I", exif, 4)[0]
    fields = []
    for number in range(struct.unpack_from("<H", exif, at)[0]):
        entry = at + 2 + 12 * number
        tag, kind, count = struct.unpack_from("<HHI", exif, entry)
        size = count * _VALUE_BYTES.get(kind, 0)
        place = entry + 8 if size <= 4 else struct.unpack_from("<I", exif, entry + 8)[0]
        if tag in DESCRIPTIVE and size:
            fields.append((tag, kind, count, exif[place : place + size]))
    return fields
