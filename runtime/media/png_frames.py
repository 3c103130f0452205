"""The frames of an animated PNG put together as the standard says (PNG, third edition, W3C 2025, section 12.5).

Pillow puts them together too, but mixes transparency where a frame lies over another one, and clears to black what has
no alpha channel of its own; there the ground shows.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sparsr.runtime.media import png_chunks
from sparsr.runtime.media.drawn_frames import DrawnFrames
from sparsr.runtime.samples import Samples

_CLEARED, _PREVIOUS = 1, 2  # what becomes of a frame when the next one is drawn
_OVER = 1  # how a frame is drawn, else in place of what is there
_HUNDREDTHS = 100  # the denominator of times that 0 stands for
_SHARED = (b"PLTE", b"tRNS")


@dataclass
class _Part:
    """A frame as it lies in the file."""

    place: tuple[int, int, int, int]
    """Left, top, width, height."""
    milliseconds: float
    disposal: int
    blending: int
    data: list[tuple[int, int]]
    """Offsets and lengths."""


class PngAnimation(DrawnFrames[_Part]):
    """The frames of an open APNG file."""

    format = "PNG"

    def _open(self) -> None:
        self._shared = b""
        parts = self._read_chunks()
        if not parts:
            raise SyntaxError("it has no pixels")
        self._begin(parts)

    def _draw(self, number: int) -> None:
        part = self._parts[number]
        where = self._cleared(part)
        shown = self._canvas[where]
        before = shown.copy() if part.disposal == _PREVIOUS and number > self._first else None
        self._left_behind = (where, before) if part.disposal in (_CLEARED, _PREVIOUS) else None
        drawn = self._decoded(part)
        shown[:] = _over(drawn, shown) if part.blending == _OVER else drawn
        if number < self._first:  # the picture for viewers that know no animations leaves nothing
            self._left_behind = (slice(None), slice(None)), None

    @property
    def _first(self) -> int:
        return int(self.info.get("default_image", False))

    def _decoded(self, part: _Part) -> Samples:
        """RGBA, uint8: what Pillow makes of a file with this frame alone."""
        assert self.fp
        data = bytearray()
        for offset, length in part.data:
            self.fp.seek(offset)
            data += self.fp.read(length)
        header = struct.pack(">II", *part.place[2:]) + self._depth_and_colours
        file = png_chunks.SIGNATURE + _chunk(b"IHDR", header) + self._shared + _chunk(b"IDAT", bytes(data)) + _END
        with Image.open(io.BytesIO(file), formats=("PNG",)) as image:
            if image.mode.startswith("I"):  # grey of 16 bits, which Pillow would cut at 255
                grey = ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)
                return np.asarray(Image.fromarray(grey).convert("RGBA"))
            return np.asarray(image.convert("RGBA"))

    def _read_chunks(self) -> list[_Part]:
        """The whole file but for the pixels."""
        assert self.fp
        parts: list[_Part] = []
        waiting: _Part | None = None
        for name, offset, length in png_chunks.headers(self.fp):
            self.fp.seek(offset + 8)
            if name == b"IDAT" or name == b"fdAT":
                if waiting is None and not parts:  # pixels before any frame
                    waiting = _Part((0, 0, *self._size), 0.0, 0, 0, [])
                    self.info["default_image"] = True
                if waiting is not None:
                    skipped = 4 * (name == b"fdAT")  # number of the chunk
                    waiting.data.append((offset + 8 + skipped, max(0, length - skipped)))
                continue
            content = self.fp.read(min(length, 1 << 16))
            if name == b"IHDR":
                width, height = struct.unpack(">II", content[:8])
                self._size, self._depth_and_colours = (width, height), content[8:13]
            elif name == b"acTL":
                self.info["loop"] = int.from_bytes(content[4:8], "big")
            elif name in _SHARED:
                self._shared += _chunk(name, content)
            elif name == b"fcTL":
                if waiting is not None:
                    parts.append(waiting)
                waiting = self._part(content)
        if waiting is not None:
            parts.append(waiting)
        return [part for part in parts if part.data]

    def _part(self, content: bytes) -> _Part:
        width, height, left, top, delay, unit, disposal, blending = struct.unpack(">IIIIHHBB", content[4:26])
        if not (width and height and left + width <= self._size[0] and top + height <= self._size[1]):
            raise SyntaxError("a frame lies outside the picture")
        return _Part((left, top, width, height), 1000 * delay / (unit or _HUNDREDTHS), disposal, blending, [])


def _over(above: Samples, below: Samples) -> Samples:
    """RGBA over RGBA (section 13.16), rounded."""
    alpha, under = (plane[..., 3:].astype(np.float32) / 255 for plane in (above, below))
    rest = under * (1 - alpha)
    total = alpha + rest
    mixed = above[..., :3] * alpha + below[..., :3] * rest
    colours = np.divide(mixed, total, out=np.zeros_like(mixed), where=total > 0)
    return (np.concatenate([colours, 255 * total], axis=2) + 0.5).astype(np.uint8)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


_END = _chunk(b"IEND", b"")
