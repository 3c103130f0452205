"""Raw frames from standard input to standard output, for other tools to pipe films through."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.progress import Progress
from sparsr.runtime.samples import DType, Samples
from sparsr.runtime.upscale.upscaler import PictureUpscaler

_PIXELS: dict[str, tuple[int, DType]] = {
    "rgb24": (3, np.dtype(np.uint8)),
    "bgr24": (3, np.dtype(np.uint8)),
    "rgba": (4, np.dtype(np.uint8)),
    "gray": (1, np.dtype(np.uint8)),
    "rgb48le": (3, np.dtype("<u2")),
}
"""Channels and samples of FFmpeg's pixel formats."""


@dataclass(frozen=True)
class RawFormat:
    """How frames lie in a stream: rows of pixels, nothing between them."""

    height: int
    width: int
    pixels: str = "rgb24"

    @property
    def size(self) -> int:
        """Of a frame."""
        channels, dtype = _PIXELS[self.pixels]
        return self.height * self.width * channels * dtype.itemsize

    def decode(self, content: bytes) -> Samples:
        """A frame as [height, width, 3 or 4]."""
        channels, dtype = _PIXELS[self.pixels]
        frame = np.frombuffer(content, dtype).reshape(self.height, self.width, channels)
        if self.pixels == "bgr24":
            return frame[..., ::-1]
        return frame.repeat(3, axis=2) if channels == 1 else frame

    def encode(self, frame: Samples) -> bytes:
        """A frame's bytes."""
        if self.pixels == "bgr24":
            frame = frame[..., ::-1]
        return (frame[..., 1:2] if self.pixels == "gray" else frame).tobytes()


def parse_raw(text: str) -> RawFormat:
    """`640x360` or `640x360:bgr24`. Raises `SparsrError` for anything else."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})(?::(\w+))?", text)
    pixels = (match[3] or "rgb24") if match else ""
    if not match or pixels not in _PIXELS or not int(match[1]) or not int(match[2]):
        hint = f"write for example 640x360 or 640x360:rgb24; known are {' '.join(_PIXELS)}"
        raise SparsrError(f"{text!r} does not say how raw frames lie", hint)
    return RawFormat(int(match[2]), int(match[1]), pixels)


def upscale_raw(source: BinaryIO, target: BinaryIO, raw: RawFormat, upscaler: PictureUpscaler) -> tuple[int, float]:
    """Upscale frame after frame until `source` ends; (frames, seconds).

    Raises `SparsrError` if it ends within a frame; what came before has been written.
    """
    start = time.monotonic()
    with Progress("standard input", unit="frames") as progress:
        while content := source.read(raw.size):
            if len(content) < raw.size:
                raise SparsrError(
                    f"standard input ends within a frame, {raw.size - len(content)} bytes early",
                    f"frames of {raw.width}x{raw.height} pixels {raw.pixels} have {raw.size} bytes",
                )
            target.write(raw.encode(upscaler(raw.decode(content))))
            target.flush()
            progress.advance()
    return progress.done, time.monotonic() - start
