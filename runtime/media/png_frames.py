"""The frames of an animated PNG put together as the standard says (PNG, third edition, W3C 2025, section 12.5).

Pillow puts them together too, but mixes transparency where a frame lies over another one, and clears to black what has
no alpha channel of its own; there the ground shows.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from sparsr.runtime.media import png_chunks
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


class PngAnimation(ImageFile.ImageFile):
    """The frames of an open APNG file in RGB, with alpha where the ground shows; used like Pillow's own images."""

    format = "PNG"

    def _open(self) -> None:
        assert self.fp
        self._parts: list[_Part] = []
        self._shared = b""
        self._read_chunks()
        if not self._parts:
            raise SyntaxError("it has no pixels")
        self._mode, self.n_frames, self.is_animated = "RGBA", len(self._parts), len(self._parts) > 1
        self._rewind()

    def seek(self, frame: int) -> None:
        """Stand at a frame, which `load` puts together. Raises EOFError if there is none of that number."""
        if not 0 <= frame < self.n_frames:
            raise EOFError(f"there is no frame {frame}")
        self._number = frame
        self.info["duration"] = self._parts[frame].milliseconds

    def tell(self) -> int:
        """The number of the frame it stands at."""
        return self._number

    def load(self) -> Any:
        """Draw all frames up to this one that are not drawn yet."""
        if self._drawn > self._number:
            self._rewind(self._number)
        while self._drawn < self._number:
            self._drawn += 1
            self._draw(self._parts[self._drawn])
            self._im = None
        if self._im is None:
            opaque = (self._canvas[..., 3] == 255).all()
            shown = Image.fromarray(np.array(self._canvas[..., :3] if opaque else self._canvas, order="C"))
            self.im, self._mode = shown.im, shown.mode
        return Image.Image.load(self)

    def _rewind(self, frame: int = 0) -> None:
        self._canvas = np.zeros((self._size[1], self._size[0], 4), np.uint8)
        self._drawn, self._im = -1, None
        self._left_behind: tuple[tuple[slice, slice], Samples | None] | None = None
        self.seek(frame)

    def _draw(self, part: _Part) -> None:
        if self._left_behind:
            where, before = self._left_behind
            self._canvas[where] = 0 if before is None else before
        left, top, width, height = part.place
        where = slice(top, top + height), slice(left, left + width)
        shown = self._canvas[where]
        before = shown.copy() if part.disposal == _PREVIOUS and self._drawn > self._first else None
        self._left_behind = (where, before) if part.disposal in (_CLEARED, _PREVIOUS) else None
        drawn = self._decoded(part)
        shown[:] = _over(drawn, shown) if part.blending == _OVER else drawn
        if self._drawn < self._first:  # the picture for viewers that know no animations leaves nothing
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

    def _read_chunks(self) -> None:
        """The whole file but for the pixels."""
        assert self.fp
        waiting: _Part | None = None
        for name, offset, length in png_chunks.headers(self.fp):
            self.fp.seek(offset + 8)
            if name == b"IDAT" or name == b"fdAT":
                if waiting is None and not self._parts:  # pixels before any frame
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
                self._keep(waiting)
                waiting = self._part(content)
        self._keep(waiting)

    def _keep(self, part: _Part | None) -> None:
        if part is not None and part.data:
            self._parts.append(part)

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
