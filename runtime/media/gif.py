"""Writing GIF animations frame by frame (GIF89a, CompuServe 1990), for as many frames as one likes.

Image libraries want all of them at once. But a frame of a GIF stands by itself, with its own palette: each is encoded
as a file, and its pixels are put behind those of the frames before. Of an opaque frame only what has changed is stored.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from sparsr.runtime.media.frames import Timing
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.samples import Samples

_KEPT, _TO_BACKGROUND = 1, 2  # what becomes of a frame when the next one is drawn
_OPAQUE = 128  # the least alpha that is seen: a pixel is there or not
_COLOURS = 256
_MOST_HUNDREDTHS = 65_535
_BLOCK = 255  # bytes
_HEADER, _HEADER_FLAGS, _DESCRIPTOR = 13, 10, 10  # bytes of a file before its palette, place of its size; of a frame


class GifWriter:
    """Writes frames to the open `file`, each with a palette of its own; call `finish` after the last."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...], metadata: Metadata, timing: Timing) -> None:
        self._file, self._timing = file, timing
        self._frame = self._shown = 0  # number of the next one, and hundredths of a second up to it
        self._due = 0.0  # milliseconds up to it, as asked for
        self._before: Samples | None = None
        file.write(b"GIF89a" + struct.pack("<HHBBB", shape[1], shape[0], 0x70, 0, 0))
        if timing.loops != 1:  # the block stands for repetitions
            file.write(b"!\xff\x0bNETSCAPE2.0" + _blocks(struct.pack("<BH", 1, min(timing.loops, 65_535))))
        if metadata.comment:
            file.write(b"!\xfe" + _blocks(metadata.comment.encode()))

    def write(self, frame: Samples) -> None:
        """Append a frame: uint8 [height, width, 3 or 4]."""
        has_alpha = frame.shape[2] == 4
        if has_alpha:
            changed = frame[..., 3] >= _OPAQUE
        elif self._before is None:
            changed = np.ones(frame.shape[:2], bool)
        else:
            changed = (frame != self._before).any(axis=2)
        rows, columns = _extent(changed.any(axis=1)), _extent(changed.any(axis=0))
        part = frame[rows, columns]
        hidden = part[..., 3] < _OPAQUE if has_alpha else None
        palette, pixels, transparent = _encoded(np.ascontiguousarray(part[..., :3]), hidden)
        flags = (_TO_BACKGROUND if has_alpha else _KEPT) << 2 | has_alpha
        self._file.write(b"!\xf9" + _blocks(struct.pack("<BHB", flags, self._hundredths(), transparent)))
        entries = (len(palette) // 3).bit_length() - 2
        place = columns.start, rows.start, part.shape[1], part.shape[0], 0x80 | entries
        self._file.write(b"," + struct.pack("<4HB", *place) + palette + pixels)
        self._before = None if has_alpha else frame

    def finish(self) -> None:
        """Write the end of the file."""
        self._file.write(b";")

    def _hundredths(self) -> int:
        """How long the next frame is shown: what rounding takes from a frame the following ones get."""
        asked = self._timing.milliseconds[self._frame]
        self._due += asked
        shown = min(max(round(self._due / 10) - self._shown, 1 if asked else 0), _MOST_HUNDREDTHS)
        self._frame, self._shown = self._frame + 1, self._shown + shown
        return shown


def _encoded(colours: Samples, hidden: Samples | None) -> tuple[bytes, bytes, int]:
    """(palette, code size and blocks of the pixels, index of what is hidden) of a picture [h, w, 3]."""
    reduced = Image.fromarray(colours).quantize(_COLOURS - (hidden is not None))
    indices = np.asarray(reduced)
    used = int(indices.max()) + 1
    palette = (reduced.getpalette() or [])[: 3 * used]
    if hidden is not None:
        indices, palette = np.where(hidden, np.uint8(used), indices), [*palette, 0, 0, 0]
    image, file = Image.fromarray(indices), io.BytesIO()
    image.putpalette(palette)
    image.save(file, "GIF", optimize=False, interlace=0)
    content = file.getvalue()
    start = _HEADER + 3 * (2 << (content[_HEADER_FLAGS] & 7))  # behind the palette
    return content[_HEADER:start], content[start + _DESCRIPTOR : -1], 0 if hidden is None else used


def _extent(used: Samples) -> slice:
    """From the first to the last place that is used; of none the first place, as a frame has a pixel at least."""
    places = np.flatnonzero(used)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 1)


def _blocks(data: bytes) -> bytes:
    """Data in blocks with their lengths before them, and the empty one that ends them."""
    parts = (data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
