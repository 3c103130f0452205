"""Photoshop's pictures (Adobe Photoshop File Formats): the channels of their composite, whatever their depth.

Pillow reads 8 bits a channel and takes the fourth channel of RGB for transparency; here others are read too, and told
apart from selections, which are channels as well.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PsdImagePlugin

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import Samples

_GREY, _RGB, _CMYK, _LAB = 1, 3, 4, 9
_COLOURS = {_GREY: ("L", 1), _RGB: ("RGB", 3), _CMYK: ("CMYK", 4), _LAB: ("LAB", 3)}
"""Pillow's modes, and channels, by colour mode."""
_TYPES = {8: ">u1", 16: ">u2", 32: ">f4"}
_HEADER = 26  # bytes
_STORED, _PACKBITS = 0, 1
_NAMES_OF_CHANNELS, _RESOLUTION, _EXIF, _XMP, _VERSION = 1006, 1005, 1058, 1060, 1057  # image resources
_WITH_LAYERS, _WITH_TRANSPARENCY = (b"Lr16", b"Lr32", b"Layr"), (b"Mtrn", b"Mt16", b"Mt32")  # blocks behind layers


def _let_pillow_open() -> None:
    """Pillow identifies these files by a table; let it read the headers of depths that are decoded here."""
    table: Any = PsdImagePlugin.MODES
    for bits in (16, 32):
        table.update({(mode, bits): colours for mode, colours in _COLOURS.items()})


_let_pillow_open()


@dataclass(frozen=True)
class Psd:
    """An opened file."""

    image: Image.Image
    file: BinaryIO

    @cached_property
    def _header(self) -> tuple[int, int, int, int, int]:
        """Channels, height, width, bits of a channel, colour mode."""
        self.file.seek(0)
        found: tuple[int, int, int, int, int] = struct.unpack(">12xHIIHH", self.file.read(_HEADER))
        return found

    @property
    def bits(self) -> int:
        """Of a channel."""
        return self._header[3]

    @property
    def mode(self) -> str | None:
        """Pillow's for its colours; None of kinds that Pillow reads alone, such as palettes."""
        return _COLOURS.get(self._header[4], (None, 0))[0] if self.bits in _TYPES else None

    @property
    def further(self) -> int:
        """Channels that are neither colours nor transparency."""
        return self._header[0] - _COLOURS[self._header[4]][1] - self.transparent if self.mode else 0

    @cached_property
    def transparent(self) -> bool:
        """Whether the first channel beyond the colours is the composite's transparency."""
        if not self.mode or self._header[0] <= _COLOURS[self._header[4]][1]:
            return False
        layers, marked = self._layers()
        named = any(kind == _NAMES_OF_CHANNELS for kind, _, _ in self._resources)
        return layers < 0 or marked or (not layers and not named)

    def samples(self) -> Samples:
        """The composite's colours, and its transparency as the last channel: uint8, uint16 or float32 [h, w, n]."""
        channels, height, width, bits, mode = self._header
        dtype, wanted = np.dtype(_TYPES[bits]), _COLOURS[mode][1] + self.transparent
        row = width * dtype.itemsize
        self._skip(_HEADER, 3)
        compression = int.from_bytes(self.file.read(2), "big")
        if compression not in (_STORED, _PACKBITS):
            raise ValueError(f"compression {compression}")
        sizes = [[row] * height] * channels
        if compression == _PACKBITS:
            counts = np.frombuffer(self.file.read(2 * channels * height), ">u2")
            if counts.max(initial=0) > 2 * row:
                raise ValueError("rows are longer than any of that width are packed")
            sizes = counts.reshape(channels, height).tolist()
        result = np.empty((height, width, wanted), dtype.newbyteorder("="))
        for number in range(wanted):
            content = self.file.read(sum(sizes[number]))
            if compression == _PACKBITS:
                content = Image.frombytes("L", (row, height), content, "packbits", "L").tobytes()
            result[..., number] = np.frombuffer(content, dtype).reshape(height, width)
        return result

    @property
    def _resources(self) -> list[tuple[int, str, bytes]]:
        found: list[tuple[int, str, bytes]] = self.image.resources  # type: ignore[attr-defined]
        return found

    def _skip(self, place: int, count: int) -> None:
        """Go behind that many sections, each of which begins with its length."""
        self.file.seek(place)
        for _ in range(count):
            self.file.seek(int.from_bytes(self.file.read(4), "big"), io.SEEK_CUR)

    def _layers(self) -> tuple[int, bool]:
        """How many there are, negative if the composite is transparent, and whether a block says that it is."""
        self._skip(_HEADER, 2)
        length = int.from_bytes(self.file.read(4), "big")
        if not length:
            return 0, False
        end = self.file.tell() + length
        size = int.from_bytes(self.file.read(4), "big")
        start = self.file.tell()
        count = int.from_bytes(self.file.read(2), "big", signed=True) if size else 0
        self._skip(start + size, 1)
        marked = False
        while self.file.tell() + 12 <= end and (head := self.file.read(12))[:4] in (b"8BIM", b"8B64"):
            start, size = self.file.tell(), int.from_bytes(head[8:], "big")
            marked |= head[4:8] in _WITH_TRANSPARENCY
            if head[4:8] in _WITH_LAYERS:
                count = int.from_bytes(self.file.read(2), "big", signed=True)
            self.file.seek(start + (size + 3) // 4 * 4)
        return count, marked


def describe(image: Image.Image, path: Path) -> None:
    """Give Pillow's picture what the file says about it. Raises `SparsrError` if there are layers alone."""
    for kind, _, data in image.resources:  # type: ignore[attr-defined]
        if kind == _EXIF:
            image.info["exif"] = data
        elif kind == _XMP:
            image.info["xmp"] = data
        elif kind == _RESOLUTION and len(data) >= 12:
            across, down = struct.unpack(">I4xI", data[:12])
            image.info["dpi"] = across / 65536, down / 65536
        elif kind == _VERSION and len(data) > 4 and not data[4]:
            message = f"{path} has layers alone, and no picture of them together"
            raise SparsrError(message, "save it with maximal compatibility, or as TIFF")
