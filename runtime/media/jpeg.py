"""Writing JPEG files strip by strip (ITU-T T.81), for pictures that do not fit into memory.

Image libraries want the whole picture. But between two restart markers (T.81, B.2.1) a scan depends on nothing before
it: each strip is encoded by itself as a JPEG with the same tables, and the scans are joined by restart markers under
one header. Any decoder reads the result, and it has the pixels of a file encoded at once.
"""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from sparsr.runtime.errors import MisfitError
from sparsr.runtime.media.metadata import PHOTOSHOP_SEGMENT, Metadata
from sparsr.runtime.samples import Samples

MAX_SIDE = 65_500  # as far as libjpeg goes, of the 65,535 of the standard
QUALITY: dict[str, int] = {"quality": 95, "subsampling": 0}
_BLOCK = 8  # pixels a side of what is coded together, without chroma subsampling
_MOST_BLOCKS = 65_535  # between two restart markers
_PHOTOSHOP = 0xED  # marker of the segment
_SCAN, _FRAME, _RESTART, _END = 0xDA, 0xC0, 0xD0, b"\xff\xd9"
_MOST_BYTES = 65_000  # of a segment's content
_ROWS = 64  # of pixels a scan, as far as the blocks allow


class JpegWriter:
    """Writes strips of rows to the open `file`, quality 95 without chroma subsampling; `finish` after the last."""

    def __init__(self, file: BinaryIO, shape: tuple[int, int, int], dtype: np.dtype, metadata: Metadata) -> None:
        height, width, channels = shape
        if max(height, width) > MAX_SIDE:
            raise MisfitError(f"a jpg cannot hold {width}x{height} pixels", "name a png file")
        if channels not in (1, 3):
            raise MisfitError("a jpg cannot hold transparency", "name a png, tif or webp file")
        self._file, self._height, self._metadata = file, height, metadata
        across = -(-width // _BLOCK)
        self._rows = _BLOCK * max(1, min(_ROWS // _BLOCK, _MOST_BLOCKS // across))
        self._interval = across * self._rows // _BLOCK
        self._waiting: Samples = np.empty((0, width, channels), np.uint8)  # less than a scan's rows
        self._scans = self._taken = 0

    def write(self, strip: Samples) -> None:
        """Append rows: uint8 [rows, width, 1 or 3]."""
        self._taken += len(strip)
        rows = np.concatenate([self._waiting, strip]) if len(self._waiting) else strip
        whole = len(rows) - len(rows) % self._rows
        for start in range(0, whole, self._rows):
            self._encode(rows[start : start + self._rows])
        self._waiting = rows[whole:].copy()

    def finish(self) -> None:
        """Write what is pending and the end of the file."""
        if self._taken != self._height:
            raise ValueError(f"{self._height - self._taken} rows are missing")
        if len(self._waiting):
            self._encode(self._waiting)
        self._file.write(_END)

    def _encode(self, rows: Samples) -> None:
        encoded = io.BytesIO()
        described = {} if self._scans else _described(self._metadata)
        image = Image.fromarray(np.ascontiguousarray(rows[..., 0] if rows.shape[2] == 1 else rows))
        image.save(encoded, "JPEG", **QUALITY, **described)
        content = encoded.getvalue()
        scan = _scan_start(content)
        if self._scans:
            self._file.write(bytes((0xFF, _RESTART + (self._scans - 1) % 8)))
            scan += int.from_bytes(content[scan + 2 : scan + 4]) + 2
        else:
            self._file.write(self._header(content[:scan]))
        self._file.write(content[scan : -len(_END)])
        self._scans += 1

    def _header(self, header: bytes) -> bytes:
        """The first strip's header, with the height of the whole picture and the restart interval."""
        at = next(at for at, marker in _segments(header) if marker == _FRAME)
        height = at + 5  # marker, length, precision
        interval = struct.pack(">BBHH", 0xFF, 0xDD, 4, self._interval)
        return header[:height] + struct.pack(">H", self._height) + header[height + 2 :] + interval


def _described(metadata: Metadata) -> dict[str, Any]:
    """What the metadata is to Pillow's writer; what does not fit into a segment is left out."""
    exif = metadata.exif if metadata.exif and len(metadata.exif) <= _MOST_BYTES else None
    xmp = metadata.xmp if metadata.xmp and len(metadata.xmp) <= _MOST_BYTES else None
    comment = metadata.comment.encode()[:_MOST_BYTES] if metadata.comment else None
    fields: dict[str, Any] = {
        "icc_profile": metadata.icc_profile,
        "exif": exif,
        "xmp": xmp,
        "dpi": metadata.dpi,
        "comment": comment,
    }
    if metadata.iptc and len(metadata.iptc) <= _MOST_BYTES:
        content = PHOTOSHOP_SEGMENT + metadata.iptc
        fields["extra"] = struct.pack(">BBH", 0xFF, _PHOTOSHOP, len(content) + 2) + content
    return {name: value for name, value in fields.items() if value}


def _scan_start(content: bytes) -> int:
    return next(at for at, marker in _segments(content) if marker == _SCAN)


def _segments(content: bytes) -> list[tuple[int, int]]:
    """(offset, marker) of the segments up to the first scan."""
    found, at = [], 2
    while at < len(content):
        found.append((at, content[at + 1]))
        if content[at + 1] == _SCAN:
            break
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return found
