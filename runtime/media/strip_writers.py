"""Writers that take a picture in strips, a kind of file each, and what each kind of file refuses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from sparsr.runtime.errors import MisfitError
from sparsr.runtime.media.formats import Format
from sparsr.runtime.media.jpeg import JpegWriter
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.media.png import PngWriter
from sparsr.runtime.media.tiff import TiffWriter
from sparsr.runtime.samples import WHITE, Samples

_OPTIONS: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 90},
    "JPEG2000": {"irreversible": False},
}


class StripWriter(Protocol):
    """Takes the rows of one picture from top to bottom."""

    def write(self, strip: Samples) -> None:
        """Append rows: [rows, width, channels] of the type the writer was made for."""

    def finish(self) -> None:
        """Write what is pending and the end of the file."""


class WholePictureWriter:
    """For formats whose encoders must see the whole picture, by Pillow."""

    def __init__(self, file: BinaryIO, shape: tuple[int, int, int], kind: Format, metadata: Metadata) -> None:
        self._file, self._kind, self._metadata = file, kind, metadata
        self._result = np.empty(shape, np.uint8)
        self._row = 0

    def write(self, strip: Samples) -> None:
        """Append rows: uint8 [rows, width, channels]."""
        self._result[self._row : self._row + len(strip)] = strip
        self._row += len(strip)

    def finish(self) -> None:
        """Encode the picture, in memory: Pillow's own writing may stop short of a full disk without an error."""
        if self._row != len(self._result):
            raise ValueError(f"{len(self._result) - self._row} rows are missing")
        pixels = self._result[..., 0] if self._result.shape[2] == 1 else self._result
        encoded = io.BytesIO()
        try:
            Image.fromarray(pixels).save(encoded, self._kind.name, **save_options(self._kind, self._metadata))
        except (OSError, ValueError, SystemError) as error:
            height, width = pixels.shape[:2]
            message = f"{self._kind.name} cannot hold a picture of {width}x{height} pixels ({error})"
            raise MisfitError(message, "name a png file") from error
        self._file.write(encoded.getbuffer())


class PpmWriter:
    """Netpbm's formats for colours and grey: a header in words, and the samples, the higher byte first."""

    def __init__(self, file: BinaryIO, shape: tuple[int, int, int], dtype: np.dtype, metadata: Metadata) -> None:
        height, width, channels = shape
        self._file, self._left = file, height
        file.write(b"P%d\n%d %d\n%d\n" % (5 if channels == 1 else 6, width, height, WHITE[dtype]))

    def write(self, strip: Samples) -> None:
        """Append rows: uint8 or uint16 [rows, width, 1 or 3]."""
        self._file.write(np.ascontiguousarray(strip, strip.dtype.newbyteorder(">")).data)
        self._left -= len(strip)

    def finish(self) -> None:
        """Nothing follows the rows."""
        if self._left:
            raise ValueError(f"{self._left} rows are missing")


_STREAMING: dict[str, Any] = {"PNG": PngWriter, "JPEG": JpegWriter, "TIFF": TiffWriter, "PPM": PpmWriter}


def strip_writer(
    file: BinaryIO, kind: Format, shape: tuple[int, ...], dtype: np.dtype, metadata: Metadata
) -> StripWriter:
    """A writer to the open `file` of a picture of that (height, width, channels) and type of samples."""
    size = (shape[0], shape[1], shape[2])
    if kind.name in _STREAMING:
        writer: StripWriter = _STREAMING[kind.name](file, size, dtype, metadata)
        return writer
    return WholePictureWriter(file, size, kind, metadata)


def save_options(kind: Format, metadata: Metadata) -> dict[str, Any]:
    """What Pillow's writer of that format is told."""
    described = {name: getattr(metadata, name) for name in kind.metadata if getattr(metadata, name, None)}
    return {**_OPTIONS.get(kind.name, {}), **described}


def refuse_misfit(target: str | Path, kind: Format, height: int, width: int, alpha: bool) -> None:
    """Raise `SparsrError` before the work rather than after it."""
    if max(height, width) > kind.max_side:
        message = f"{target}: a {kind.name} holds at most {kind.max_side} pixels a side, not {width}x{height}"
        raise MisfitError(message, "name a png file")
    if alpha and not kind.alpha:
        raise MisfitError(f"{target}: a {kind.name} cannot hold transparency", "name a png, tif or webp file")
