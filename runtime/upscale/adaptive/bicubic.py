"""The cheapest candidate: bicubic interpolation (Keys 1981, a = -0.5), by Pillow; at scale 1 the picture as it is."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sparsr.runtime.samples import BYTE, WHITE, Samples
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

    def window(self, window: Samples, rows: Span, columns: Span) -> Samples:
        """What is kept of the enlarged window: [h, w, 3 or 4] -> [s*rows, s*columns, same]."""
        if self.scale == 1:
            return window[kept(rows, 1), kept(columns, 1)]
        height, width = window.shape[:2]
        size = (width * self.scale, height * self.scale)
        if window.dtype == BYTE:
            resized = np.asarray(Image.fromarray(np.ascontiguousarray(window)).resize(size, Image.Resampling.BICUBIC))
        else:  # Pillow knows deeper pictures of one channel alone
            planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(window, 2, 0)]
            values = np.dstack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC)) for plane in planes])
            white = WHITE[window.dtype]
            resized = (np.clip(values, 0, white) + (0.5 if white > 1 else 0)).astype(window.dtype)
        return resized[kept(rows, self.scale), kept(columns, self.scale)]


def gmacs_720p(scale: int) -> float:
    """Multiply-adds (10^9) for a 1280x720 output: rows at the full width, then columns at the full size. Our count."""
    if scale == 1:
        return 0.0
    return _TAPS * _COLOURS * _OUTPUT_PIXELS * (1 + 1 / scale) / 1e9
