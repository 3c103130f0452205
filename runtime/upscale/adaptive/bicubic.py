"""The cheapest candidate: bicubic interpolation (Keys 1981, a = -0.5), by Pillow."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.upscale.tiling import Span
from sparsr.runtime.upscale.windows import kept

HALO = 2
"""Input pixels it sees in each direction."""
_TAPS, _COLOURS = 4, 3
_OUTPUT_PIXELS = 1280 * 720


class Bicubic:
    """A candidate as `Upscaler` is one."""

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def window(self, window: ByteArray, rows: Span, columns: Span) -> ByteArray:
        """What is kept of the enlarged window: uint8 [h, w, 3 or 4] -> [s*rows, s*columns, same]."""
        height, width = window.shape[:2]
        size = (width * self.scale, height * self.scale)
        picture = Image.fromarray(np.ascontiguousarray(window)).resize(size, Image.Resampling.BICUBIC)
        return np.asarray(picture)[kept(rows, self.scale), kept(columns, self.scale)]


def gmacs_720p(scale: int) -> float:
    """Multiply-adds (10^9) for a 1280x720 output: rows at the full width, then columns at the full size. Our count."""
    return _TAPS * _COLOURS * _OUTPUT_PIXELS * (1 + 1 / scale) / 1e9
