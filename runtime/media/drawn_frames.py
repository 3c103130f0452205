"""Animations whose frames are drawn one over the other, as images of Pillow's: what GIF and APNG have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image, ImageFile

from sparsr.runtime.samples import Samples

Place = tuple[slice, slice]


class Part(Protocol):
    """A frame as it lies in the file."""

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Left, top, width, height."""

    @property
    def milliseconds(self) -> float:
        """How long it is shown."""


P = TypeVar("P", bound=Part)


class DrawnFrames(ImageFile.ImageFile, Generic[P]):
    """The frames of an open file in RGB, with alpha where the ground shows; used like Pillow's own images.

    `_open` of a format reads its parts and size, and ends with `_begin`; `_draw` draws one part onto the canvas.
    """

    def _begin(self, parts: Sequence[P]) -> None:
        self._parts = parts
        self._mode, self.n_frames, self.is_animated = "RGBA", len(parts), len(parts) > 1
        self._rewind()

    def _draw(self, number: int) -> None:
        """Draw the frame of that number; those before it are drawn."""
        raise NotImplementedError

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
            self._draw(self._drawn + 1)
            self._drawn += 1
            self._im = None
        if self._im is None:
            opaque = (self._canvas[..., 3] == 255).all()
            shown = Image.fromarray(np.array(self._canvas[..., :3] if opaque else self._canvas, order="C"))
            self.im, self._mode = shown.im, shown.mode
        return Image.Image.load(self)

    def _rewind(self, frame: int = 0) -> None:
        self._canvas = np.zeros((self._size[1], self._size[0], 4), np.uint8)
        self._drawn, self._im = -1, None
        self._left_behind: tuple[Place, Samples | None] | None = None
        self.seek(frame)

    def _cleared(self, part: P) -> Place:
        """Where a part is drawn, after what the frame before it leaves behind is."""
        if self._left_behind:
            where, before = self._left_behind
            self._canvas[where] = 0 if before is None else before
            self._left_behind = None
        left, top, width, height = part.place
        return slice(top, top + height), slice(left, left + width)
