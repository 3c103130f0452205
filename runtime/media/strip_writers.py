"""Writers that take a picture in strips, a kind of file each."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.media.images import Picture, encode
from sparsr.runtime.media.jpeg import JpegWriter
from sparsr.runtime.media.png import PngWriter
from sparsr.runtime.media.tiff import TiffWriter


class StripWriter(Protocol):
    """Takes the rows of one picture from top to bottom."""

    def write(self, strip: ByteArray) -> None:
        """Append rows: uint8 [rows, width, channels]."""

    def finish(self) -> None:
        """Write what is pending and the end of the file."""


class WholePictureWriter:
    """For formats whose encoders must see the whole picture: WebP without loss, and BMP, by Pillow."""

    def __init__(
        self, file: BinaryIO, height: int, width: int, channels: int, icc_profile: bytes | None, kind: str
    ) -> None:
        self._file, self._kind, self._icc_profile = file, kind, icc_profile
        self._result = np.empty((height, width, channels), np.uint8)
        self._row = 0

    def write(self, strip: ByteArray) -> None:
        """Append rows: uint8 [rows, width, channels]."""
        self._result[self._row : self._row + len(strip)] = strip
        self._row += len(strip)

    def finish(self) -> None:
        """Encode the picture."""
        if self._row != len(self._result):
            raise ValueError(f"{len(self._result) - self._row} rows are missing")
        alpha = self._result[..., 3] if self._result.shape[2] == 4 else None
        self._file.write(
            encode(Path(self._file.name), self._kind, Picture(self._result[..., :3], alpha, self._icc_profile))
        )


_STREAMING = {"PNG": PngWriter, "JPEG": JpegWriter, "TIFF": TiffWriter}
WHOLE = ("WEBP", "BMP")
"""Formats of which the whole result is held until it is written."""


def strip_writer(
    file: BinaryIO, kind: str, height: int, width: int, channels: int, icc_profile: bytes | None
) -> StripWriter:
    """A writer to the open `file` for a picture in the format `kind` (see `images.SUFFIXES`)."""
    if kind in _STREAMING:
        return _STREAMING[kind](file, height, width, channels, icc_profile)
    return WholePictureWriter(file, height, width, channels, icc_profile, kind)
