"""PyAV, FFmpeg's libraries in Python, which the bare install has but not every machine."""

from __future__ import annotations

import os
from typing import Any

from sparsr.runtime.errors import SparsrError

ACCURATE = 0x4 | 0x40000 | 0x2000 | 0x4000
"""Bits of swscale.h: bicubic, accurate rounding, colour computed at full resolution."""


def import_av() -> Any:
    """The package. Raises `SparsrError` if it does not import."""
    try:
        import av
        import av.filter
        import av.logging
        import av.video.reformatter
    except ImportError as error:
        raise SparsrError(f"this needs the package av, which does not import ({error})", "pip install av") from error
    # Silence: what matters arrives as an exception. Any other level makes FFmpeg's threads wait for Python's lock, and
    # Python, holding it, may be waiting for them (PyAV issue 751).
    av.logging.set_level(None)
    os.environ.setdefault("SVT_LOG", "1")  # of the AV1 encoder: errors alone
    return av
