"""Animations written frame by frame, so that they take the same memory however many frames they have."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from sparsr.runtime.errors import MisfitError
from sparsr.runtime.media.formats import Format
from sparsr.runtime.media.frames import DEFAULT_MILLISECONDS, Timing
from sparsr.runtime.media.gif import GifWriter
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.media.png import PngWriter
from sparsr.runtime.media.strip_writers import save_options
from sparsr.runtime.samples import BYTE, Samples


def write_animation(
    file: BinaryIO, kind: Format, frames: Iterator[Samples], metadata: Metadata, timing: Timing
) -> None:
    """Write frames, uint8 [height, width, 3 or 4] each, to the open `file`.

    Raises `SparsrError` if the format cannot hold them.
    """
    first = next(frames)
    height, width, channels = first.shape
    frames = itertools.chain([first], frames)
    del first
    if kind.name not in ("PNG", "GIF"):
        _write_by_pillow(file, kind, frames, metadata, timing)
        return
    writer: PngWriter | GifWriter = (
        PngWriter(file, (height, width, channels), BYTE, metadata, timing)
        if kind.name == "PNG"
        else GifWriter(file, (height, width), metadata, timing)
    )
    for frame in frames:
        writer.write(frame)
    writer.finish()


class _Following:
    """The frames as Pillow's encoders take an image with many: one that is another one after every `seek`."""

    def __init__(self, frames: Iterator[Samples], count: int) -> None:
        self.n_frames = count
        self.broken = False
        """Whether making a frame failed, not encoding it."""
        self._frames, self._number = frames, -1
        self._image: Image.Image | None = None

    def seek(self, number: int) -> None:
        """Go to the next frame; there is no way back. Raises EOFError behind the last."""
        if number >= self.n_frames:
            raise EOFError
        while self._number < number:
            self._image = None
            try:
                pixels = next(self._frames)
            except Exception:
                self.broken = True
                raise
            self._image = Image.fromarray(np.ascontiguousarray(pixels))
            self._number += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._image, name)


def _write_by_pillow(
    file: BinaryIO, kind: Format, frames: Iterator[Samples], metadata: Metadata, timing: Timing
) -> None:
    """For WebP and AVIF, whose encoders hold frames compressed, and some pictures to compare."""
    least = DEFAULT_MILLISECONDS if kind.name == "AVIF" else 0
    shown = [round(value) or least for value in timing.milliseconds]
    options = {**save_options(kind, metadata), "duration": shown, "loop": timing.loops}
    first = Image.fromarray(np.ascontiguousarray(next(frames)))
    others = _Following(frames, len(shown) - 1)
    try:
        first.save(file, kind.name, save_all=True, append_images=[others], **options)
    except (OSError, ValueError, SystemError) as error:
        if others.broken or getattr(error, "errno", None):  # a disk is full
            raise
        raise MisfitError(f"{kind.name} cannot hold the animation ({error})", "name a png file") from error
