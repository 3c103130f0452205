"""Which arrays are equal: every file format stores those once."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def content(array: NDArray[Any]) -> bytes:
    """What two arrays have in common if and only if they are equal in type, shape and every bit."""
    kind = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(kind + np.ascontiguousarray(array).tobytes()).digest()
