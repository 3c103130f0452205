"""Colour signalling of HEIC and AVIF files (the box colr of ISO/IEC 23008-12), as PNG has it: the chunk cICP."""

from __future__ import annotations

import struct
from typing import BinaryIO

from sparsr.runtime.media.png_chunks import Chunk

_BOX = b"colrnclx"
_HEADER = 1 << 16  # bytes that are searched
_USUAL_PRIMARIES, _LIKE_SRGB = (1, 2), (1, 2, 6, 13)  # of ITU-T H.273; players show these transfers alike


def signalling(file: BinaryIO) -> tuple[Chunk, ...]:
    """The chunk, if values mean something else than those of sRGB, such as those of HDR; the pixels are RGB."""
    place = file.tell()
    file.seek(0)
    head = file.read(_HEADER)
    file.seek(place)
    at = head.find(_BOX)
    if at < 0 or len(head) < at + len(_BOX) + 4:
        return ()
    primaries, transfer = struct.unpack_from(">HH", head, at + len(_BOX))
    usual = primaries in _USUAL_PRIMARIES and transfer in _LIKE_SRGB
    return () if usual or max(primaries, transfer) > 255 else ((b"cICP", bytes([primaries, transfer, 0, 1])),)
