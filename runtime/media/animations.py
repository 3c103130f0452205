"""Writers of animations: whole frames, one after the other."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.formats import Format
from sparsr.runtime.media.frames import Timing
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.media.png import PngWriter
from sparsr.runtime.media.strip_writers import save_options
from sparsr.runtime.samples import Samples

_TO_BACKGROUND = 2  # GIF's disposal: a frame is gone before the next one is drawn


class FrameWriter(Protocol):
    """Takes the frames of an animation."""

    def write(self, strip: Samples) -> None:
        """Append a frame: uint8 [height, width, channels]."""

    def finish(self) -> None:
        """Write what is pending and the end of the file."""


class PillowFrames:
    """For formats whose encoders want all frames: they are held until then."""

    def __init__(self, file: BinaryIO, kind: Format, metadata: Metadata, timing: Timing, alpha: bool) -> None:
        self._file, self._kind = file, kind
        self._options: dict[str, Any] = {**save_options(kind, metadata), "duration": [*timing.milliseconds]}
        if kind.name != "GIF" or timing.loops != 1:  # in GIF the block for loops stands for repetitions
            self._options["loop"] = timing.loops
        if kind.name == "GIF" and alpha:
            self._options["disposal"] = _TO_BACKGROUND
        if kind.name != "GIF":
            self._options["duration"] = [round(value) for value in timing.milliseconds]
        self._frames: list[Image.Image] = []

    def write(self, strip: Samples) -> None:
        """Append a frame."""
        self._frames.append(Image.fromarray(np.ascontiguousarray(strip)))

    def finish(self) -> None:
        """Encode them."""
        first, *others = self._frames
        encoded = io.BytesIO()
        try:
            first.save(encoded, self._kind.name, save_all=True, append_images=others, **self._options)
        except (OSError, ValueError, SystemError) as error:
            raise SparsrError(f"{self._kind.name} cannot hold the animation ({error})", "name a png file") from error
        self._file.write(encoded.getbuffer())


def animation_writer(
    file: BinaryIO, kind: Format, shape: tuple[int, ...], metadata: Metadata, timing: Timing
) -> FrameWriter:
    """A writer to the open `file` of frames of that (height, width, channels)."""
    if kind.name == "PNG":
        return PngWriter(file, (shape[0], shape[1], shape[2]), np.dtype(np.uint8), metadata, timing)
    return PillowFrames(file, kind, metadata, timing, shape[2] == 4)
