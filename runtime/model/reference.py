"""The stored reference of a bundle: a small picture and what the network's author's code makes of it.

A device without Python, torch or a network checks its own results against it. `reference.json` holds the sizes,
`reference.rgb` the picture and after it the result, 8-bit RGB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.errors import SparsrError

DESCRIPTION, PIXELS = "reference.json", "reference.rgb"
_LONGEST_SIDE = 512
_HIGHEST_SCALE = 16
_MOST_BYTES = 10_000  # of the description


@dataclass(frozen=True, eq=False)
class Reference:
    """A picture, uint8 [h, w, 3], and its result, uint8 [s*h, s*w, 3]."""

    image: ByteArray
    result: ByteArray

    def files(self) -> dict[str, bytes]:
        """As they lie in a bundle."""
        height, width = self.image.shape[:2]
        sizes = {"width": width, "height": height, "scale": self.result.shape[0] // height}
        return {DESCRIPTION: (json.dumps(sizes) + "\n").encode(), PIXELS: self.image.tobytes() + self.result.tobytes()}

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """That of the bundle in `folder`; None if it has none. Raises `SparsrError` if it is damaged."""
        if not (folder / DESCRIPTION).is_file():
            return None
        try:
            with (folder / DESCRIPTION).open("rb") as file:
                sizes = json.loads(file.read(_MOST_BYTES))
            height, width, scale = (_whole(sizes[name]) for name in ("height", "width", "scale"))
            if max(height, width) > _LONGEST_SIDE or scale > _HIGHEST_SCALE:
                raise ValueError(f"{width}x{height} pixels at x{scale} are too large")
            shapes = (height, width, 3), (height * scale, width * scale, 3)
            first, second = (int(np.prod(shape)) for shape in shapes)
            with (folder / PIXELS).open("rb") as file:
                content = file.read(first + second + 1)
            if len(content) != first + second:
                raise ValueError(f"{PIXELS} does not have the size that {DESCRIPTION} says")
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise SparsrError(f"the reference of {folder} is damaged: {error}", "export the bundle again") from error
        pixels = np.frombuffer(content, np.uint8)
        return cls(pixels[:first].reshape(shapes[0]), pixels[first:].reshape(shapes[1]))


def _whole(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{str(value)[:20]!r} is no number of pixels")
    return value
