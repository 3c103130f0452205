"""What picture formats can hold: one row each. Everything that asks what a file may be or may hold asks this table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsr.runtime.errors import SparsrError


@dataclass(frozen=True)
class Format:
    """A kind of picture file."""

    name: str
    """As Pillow calls it."""
    suffixes: tuple[str, ...]
    written: bool = True
    depths: tuple[Any, ...] = (np.uint8,)
    """Types of samples that are written."""
    alpha: bool = True
    grey: bool = False
    """Whether files with one channel are written."""
    frames: bool = False
    """Whether animations are written."""
    streamed: bool = False
    """Whether a picture is written strip by strip, so that it may be larger than memory."""
    encoder_bytes: int = 8
    """Of a pixel, what Pillow and the encoder take beside a result that is not streamed, from above."""
    frames_bytes: int = 0
    """Of a pixel, what an encoder takes beside that for the frames it looks ahead to, from above."""
    max_side: int = 2**31 - 1
    signature: bool = True
    """Whether files begin with bytes that tell the format; the others are only recognised by their suffix."""
    metadata: tuple[str, ...] = ()
    """Fields of `metadata.Metadata` that are written."""


_DEEP = (np.uint8, np.uint16)
_COMMON = ("icc_profile", "exif", "xmp")
FORMATS = (
    Format("PNG", (".png", ".apng"), depths=_DEEP, grey=True, frames=True, streamed=True,
           metadata=(*_COMMON, "dpi", "chunks", "comment")),
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), alpha=False, grey=True, streamed=True, max_side=65_500,
           metadata=(*_COMMON, "dpi", "iptc", "comment")),
    Format("TIFF", (".tif", ".tiff"), depths=(*_DEEP, np.float32), grey=True, streamed=True,
           metadata=(*_COMMON, "dpi", "iptc")),
    Format("WEBP", (".webp",), frames=True, encoder_bytes=40, max_side=16_383, metadata=_COMMON),
    Format("AVIF", (".avif",), frames=True, encoder_bytes=36, frames_bytes=660, max_side=65_536, metadata=_COMMON),
    Format("GIF", (".gif",), frames=True, encoder_bytes=24, max_side=65_535, metadata=("comment",)),
    Format("BMP", (".bmp",), alpha=False, grey=True, metadata=("dpi",)),
    Format("JPEG2000", (".jp2", ".j2k", ".jpx"), encoder_bytes=48, grey=True),
    Format("TGA", (".tga",), grey=True, max_side=65_535, signature=False),
    Format("PPM", (".ppm", ".pgm", ".pnm", ".pbm"), depths=_DEEP, alpha=False, grey=True, streamed=True),
    Format("HEIF", (".heic", ".heif", ".hif"), written=False),
    Format("MPO", (".mpo",), written=False),
    Format("ICO", (".ico",), written=False),
    Format("PSD", (".psd",), written=False),
    Format("DDS", (".dds",), written=False),
    Format("QOI", (".qoi",), written=False),
    Format("SGI", (".sgi", ".rgb"), written=False),
    Format("ICNS", (".icns",), written=False),
    Format("CUR", (".cur",), written=False),
    Format("DCX", (".dcx",), written=False),
    Format("MSP", (".msp",), written=False),
    Format("XBM", (".xbm",), written=False),
    Format("PCX", (".pcx",), written=False, signature=False),
)  # fmt: skip
READ_SUFFIXES = {suffix: kind for kind in FORMATS for suffix in kind.suffixes}
WRITTEN_SUFFIXES = {suffix: kind for suffix, kind in READ_SUFFIXES.items() if kind.written}
DEFAULT_SUFFIX = ".png"
"""Of results whose source has a format that is not written, or that cannot hold them: it holds everything."""


def written_format(path: str | Path) -> Format:
    """The format a file name asks for. Raises `SparsrError` for an unknown suffix."""
    kind = WRITTEN_SUFFIXES.get(Path(path).suffix.lower())
    if kind is None:
        raise SparsrError(f"{path} does not end in an image format", f"use one of {' '.join(WRITTEN_SUFFIXES)}")
    return kind
