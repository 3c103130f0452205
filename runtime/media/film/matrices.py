"""What values of frames mean: matrices between RGB and YUV, by their code points in ITU-T H.273, and range."""

from __future__ import annotations

from typing import Any

_HD_HEIGHT = 720  # untagged video is taken for BT.709 from this height on, for BT.601 below
# Both kinds of BT.601 are the same matrix, and PyAV takes 5 for "leave as it is".
_BT709, _BT601 = 1, 6
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9}
NO_MATRIX = 2
"""Said of RGB; PyAV ignores the other matrix of a conversion where both are equal."""
UNSPECIFIED, LIMITED, FULL = 0, 1, 2
"""Ranges as FFmpeg numbers them: of 8 bits 16..235, or 0..255."""


def matrix_of(frame: Any) -> int:
    """The frame's."""
    untagged = _BT709 if frame.height >= _HD_HEIGHT else _BT601
    return _MATRICES.get(int(frame.colorspace), untagged)


def range_of(frame: Any) -> int:
    """`LIMITED` or `FULL`: as the frame says, else as FFmpeg takes its format; only grey and yuvj are full there."""
    if frame.color_range in (LIMITED, FULL):
        return int(frame.color_range)
    return FULL if frame.format.name.startswith("yuvj") or is_grey(frame.format) else LIMITED


def kept_range(frame: Any) -> int:
    """The range to store the frame's colours in: its own. RGB has none, and grey that says nothing needs none."""
    own = frame.color_range != UNSPECIFIED or not is_grey(frame.format)
    return range_of(frame) if own and not frame.format.is_rgb else LIMITED


def is_grey(pixels: Any) -> bool:
    """Whether a pixel format has no colours."""
    return len(pixels.components) < 3 and not pixels.has_palette
