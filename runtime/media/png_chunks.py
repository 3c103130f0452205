"""The chunks of a PNG file (PNG, third edition, W3C 2025, section 5): which of them a decoder is shown.

A picture is in IHDR, PLTE, tRNS and IDAT, and an animation's frames in acTL, fcTL and fdAT. All others only describe
it: they are kept as they are if they are sound and passed over otherwise, but never stop a picture from being read.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DECODED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}
COLOUR = (b"cICP", b"mDCV", b"cLLI", b"sRGB", b"gAMA", b"cHRM")
"""Chunks that say what the values of pixels mean, without a profile."""
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_KEPT = (*COLOUR, *_TEXT, b"iCCP", b"eXIf", b"pHYs")
_MOST_BYTES = 64 << 20  # of all that is kept
_MOST_INFLATED = 16 << 20  # of a profile or an XMP packet
_XMP = b"XML:com.adobe.xmp"
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_RAW_PROFILE = b"Raw profile type "  # how ImageMagick once kept Exif and IPTC

Chunk = tuple[bytes, bytes]


class Pieces(io.RawIOBase):
    """Some ranges of a file as one file to read."""

    def __init__(self, file: BinaryIO, ranges: list[tuple[int, int]]) -> None:
        self._file, self._at = file, 0
        self._ranges, end = [], 0
        for offset, length in ranges:
            self._ranges.append((end, end + length, offset))
            end += length
        self._end = end

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position among the ranges."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of files."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence])
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the range that the position is in."""
        for start, stop, offset in self._ranges:
            if start <= self._at < stop:
                self._file.seek(offset + self._at - start)
                data = self._file.read(min(len(buffer), stop - self._at))
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
        return 0


def split(file: BinaryIO) -> tuple[BinaryIO, list[Chunk]]:
    """(the file with those chunks alone that a decoder needs, the sound ones among those worth keeping)."""
    ranges, kept, held = [(0, len(SIGNATURE))], [], 0
    for name, offset, length in headers(file):
        if name in _DECODED:
            ranges.append((offset, length + 12))
        elif (
            name in _KEPT and held + length <= _MOST_BYTES and (data := _sound(file, name, offset, length)) is not None
        ):
            kept.append((name, data))
            held += length
    merged: list[tuple[int, int]] = []
    for offset, length in ranges:
        if merged and sum(merged[-1]) == offset:
            merged[-1] = (merged[-1][0], merged[-1][1] + length)
        else:
            merged.append((offset, length))
    return io.BufferedReader(Pieces(file, merged), 1 << 16), kept


def icc_profile(chunks: list[Chunk]) -> bytes | None:
    """The colour profile, if there is a sound one."""
    for name, data in chunks:
        if name == b"iCCP":
            return _inflated(data.partition(b"\0")[2][1:])
    return None


def xmp(chunks: list[Chunk]) -> bytes | None:
    """The XMP packet."""
    for name, data in chunks:
        if name == b"iTXt" and data.startswith(_XMP + b"\0"):
            compressed, _, rest = data[len(_XMP) + 1], None, data[len(_XMP) + 3 :]
            text = rest.split(b"\0", 2)[-1]
            return _inflated(text) if compressed else text
    return _profile_in_text(chunks, b"xmp")


def exif(chunks: list[Chunk]) -> bytes | None:
    """The Exif block: of the chunk for it, or as ImageMagick writes it into a text."""
    for name, data in chunks:
        if name == b"eXIf":
            return data
    found = _profile_in_text(chunks, b"exif", b"APP1")
    return found.removeprefix(b"Exif\0\0") if found and not found.startswith(_XMP_IN_JPEG) else None


def photoshop(chunks: list[Chunk]) -> bytes | None:
    """Photoshop's blocks, in which IPTC lies, as ImageMagick writes them into a text."""
    return _profile_in_text(chunks, b"iptc", b"8bim")


def _profile_in_text(chunks: list[Chunk], *kinds: bytes) -> bytes | None:
    """A block as hexadecimal digits behind its name and length, as ImageMagick writes it."""
    for name, data in chunks:
        title, _, text = data.partition(b"\0")
        if name in (b"tEXt", b"zTXt") and title in [_RAW_PROFILE + kind for kind in kinds]:
            lines = ((_inflated(text[1:]) or b"") if name == b"zTXt" else text).split(None, 2)
            try:
                return bytes.fromhex(lines[2].decode("ascii", "replace")) if lines[2:] else None
            except ValueError:
                return None
    return None


def dots_per_inch(chunks: list[Chunk]) -> tuple[float, float] | None:
    """The resolution, where it has a unit."""
    for name, data in chunks:
        if name == b"pHYs" and len(data) == 9 and data[8] == 1:
            x, y = struct.unpack(">II", data[:8])
            return (x * 0.0254, y * 0.0254) if x and y else None
    return None


def kept_as_they_are(chunks: list[Chunk]) -> tuple[Chunk, ...]:
    """What is written again byte for byte: colour and text, but for what is written from its content."""
    return tuple(
        (name, data)
        for name, data in chunks
        if name in COLOUR or (name in _TEXT and not data.startswith((_XMP + b"\0", _RAW_PROFILE)))
    )


def headers(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset, length of the data) of the chunks, up to the end of the file or of the picture."""
    at = len(SIGNATURE)
    while True:
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return
        length, name = struct.unpack(">I4s", header)
        yield name, at, length
        if name == b"IEND":
            return
        at += length + 12


def _sound(file: BinaryIO, name: bytes, offset: int, length: int) -> bytes | None:
    """The data of a chunk whose check sum is right."""
    file.seek(offset + 8)
    data, check = file.read(length), file.read(4)
    return data if check == struct.pack(">I", zlib.crc32(data, zlib.crc32(name))) else None


def _inflated(data: bytes) -> bytes | None:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, _MOST_INFLATED)
    except zlib.error:
        return None
    return content if stream.eof else None
