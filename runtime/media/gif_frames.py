"""The frames of a GIF animation put together as browsers show them (GIF89a, CompuServe 1990).

Pillow decodes each frame by itself. It also puts them together, but what is to be cleared for the next frame it fills
with a colour, or leaves standing where the first frame is meant; browsers let the ground show through.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sparsr.runtime.media.drawn_frames import DrawnFrames
from sparsr.runtime.samples import Samples

_TO_BACKGROUND, _TO_PREVIOUS = 2, (3, 4)  # what becomes of a frame; some programs write 4 for 3
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_PALETTE, _INTERLACED = 0x80, 0x40
_MOST_OUTSIDE = 4  # times the animation's pixels that a frame may have, which may reach beyond


@dataclass(frozen=True)
class _Part:
    """A frame as it lies in the file."""

    place: tuple[int, int, int, int]
    """Left, top, width, height."""
    palette: bytes
    interlaced: bool
    start: int
    """Offset of its pixels: the size of codes, then blocks."""
    end: int
    transparent: int | None
    disposal: int
    milliseconds: int


class GifAnimation(DrawnFrames[_Part]):
    """The frames of an open GIF file."""

    format = "GIF"
    broken = False
    """Whether the file breaks off within a frame, which is left out."""

    def _open(self) -> None:
        parts = self._read_blocks()
        if not parts:
            raise SyntaxError("no frame is whole")
        left, top, width, height = parts[0].place
        self._size = max(self._size[0], left + width), max(self._size[1], top + height)
        self._begin(parts)

    def _draw(self, number: int) -> None:
        part = self._parts[number]
        where = self._cleared(part)
        shown = self._canvas[where]
        if part.disposal == _TO_BACKGROUND:
            self._left_behind = where, None
        elif part.disposal in _TO_PREVIOUS:
            self._left_behind = where, shown.copy()
        indices = self._decoded(part)[: shown.shape[0], : shown.shape[1]]
        colours = np.zeros((256, 4), np.uint8)
        found = np.frombuffer(part.palette, np.uint8).reshape(-1, 3)
        colours[: len(found), :3], colours[:, 3] = found, 255
        drawn = np.ones(indices.shape, bool) if part.transparent is None else indices != part.transparent
        shown[drawn] = colours[indices[drawn]]

    def _decoded(self, part: _Part) -> Samples:
        """Indices of colours, [height, width]: what Pillow makes of a file with this frame alone."""
        _, _, width, height = part.place
        if width * height > _MOST_OUTSIDE * self._size[0] * self._size[1]:
            raise ValueError("a frame is much larger than the picture")
        assert self.fp
        self.fp.seek(part.start)
        flags = _INTERLACED if part.interlaced else 0
        alone = b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0,\0\0\0\0"
        alone += struct.pack("<HHB", width, height, flags) + self.fp.read(part.end - part.start) + b";"
        with Image.open(io.BytesIO(alone), formats=("GIF",)) as image:
            return np.asarray(image)

    def _read_blocks(self) -> list[_Part]:
        """The whole file but for the pixels."""
        assert self.fp
        parts: list[_Part] = []
        width, height, flags = struct.unpack("<HHB", self.fp.read(13)[6:11])
        self._size = width, height
        common = self._read_palette(flags)
        control: tuple[int, int, int | None] = 0, 0, None
        while (kind := self.fp.read(1)) not in (b"", b";"):
            if kind == b"!":
                label, blocks = self.fp.read(1), self._read_data()
                control = self._extension(label, blocks) or control
            elif kind == b",":
                head = self.fp.read(9)
                if len(head) < 9:
                    self.broken = True
                    return parts
                left, top, width, height, flags = struct.unpack("<4HB", head)
                palette = self._read_palette(flags) or common or bytes(np.arange(256, dtype=np.uint8).repeat(3))
                start = self.fp.tell()
                self.fp.read(1)
                if self._read_data() is None:
                    self.broken = True
                    return parts
                place, interlaced = (left, top, width, height), bool(flags & _INTERLACED)
                disposal, milliseconds, transparent = control
                part = _Part(place, palette, interlaced, start, self.fp.tell(), transparent, disposal, milliseconds)
                parts.append(part)
                control = 0, 0, None
        return parts

    def _extension(self, label: bytes, blocks: list[bytes] | None) -> tuple[int, int, int | None] | None:
        """Keep what it says of the file; (disposal, milliseconds, transparent colour) if it says them of a frame."""
        if not label or not blocks:
            return None
        if label[0] == _CONTROL and len(blocks[0]) >= 4:
            flags, delay, transparent = struct.unpack("<BHB", blocks[0][:4])
            return flags >> 2 & 7, 10 * delay, transparent if flags & 1 else None
        if label[0] == _COMMENT:
            self.info["comment"] = b"".join(blocks)
        if label[0] == _APPLICATION and blocks[0] in _LOOPING and len(blocks) > 1 and blocks[1][:1] == b"\1":
            self.info["loop"] = int.from_bytes(blocks[1][1:3], "little")
        return None

    def _read_palette(self, flags: int) -> bytes:
        assert self.fp
        return self.fp.read(3 * (2 << (flags & 7))) if flags & _PALETTE else b""

    def _read_data(self) -> list[bytes] | None:
        """Blocks up to the empty one that ends them; None if the file ends before."""
        assert self.fp
        blocks: list[bytes] = []
        while length := self.fp.read(1):
            if length == b"\0":
                return blocks
            blocks.append(self.fp.read(length[0]))
        return None
