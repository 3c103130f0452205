"""Matrices between RGB and YUV, by their code points in ITU-T H.273."""

from __future__ import annotations

from typing import Any

_HD_HEIGHT = 720  # untagged video is taken for BT.709 from this height on, for BT.601 below
# Both kinds of BT.601 are the same matrix, and PyAV takes 5 for "leave as it is".
_BT709, _BT601 = 1, 6
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9}
NO_MATRIX = 2
"""Said of RGB; PyAV ignores the other matrix of a conversion where both are equal."""


def matrix_of(frame: Any) -> int:
    """The frame's."""
    untagged = _BT709 if frame.height >= _HD_HEIGHT else _BT601
    return _MATRICES.get(int(frame.colorspace), untagged)
