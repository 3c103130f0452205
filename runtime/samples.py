"""The values pixels have: 8 bits, 16 bits or floating point, as networks take them and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Samples = NDArray[Any]
"""uint8 0..255, uint16 0..65535, or float32, of which 0 is black and 1 white."""
DType = np.dtype[Any]
BYTE = np.dtype(np.uint8)
WHITE: dict[DType, int] = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 1}
_ROWS = 128  # converted together


def to_values(samples: Samples, value_range: float) -> FloatArray:
    """Samples as a network's values, 0..`value_range`."""
    values = samples.astype(np.float32)
    values *= np.float32(value_range / WHITE[samples.dtype])
    return values


def from_values(values: FloatArray, value_range: float, dtype: DType) -> Samples:
    """Values 0..`value_range` as the nearest samples (halves up), what lies outside cut off; works in place."""
    white = WHITE[np.dtype(dtype)]
    values *= np.float32(white / value_range)
    if white > 1:
        values += np.float32(0.5)
    np.clip(values, 0, white, out=values)
    return values.astype(dtype, order="C")  # integers are rounded down


def converted(samples: Samples, dtype: DType) -> Samples:
    """The nearest samples of another type; a band of rows at a time."""
    if samples.dtype == dtype:
        return samples
    result = np.empty(samples.shape, dtype)
    for top in range(0, len(samples), _ROWS):
        band = samples[top : top + _ROWS].astype(np.float64) * (WHITE[np.dtype(dtype)] / WHITE[samples.dtype])
        rounded = band if dtype == np.float32 else np.clip(band, 0, WHITE[np.dtype(dtype)]) + 0.5
        result[top : top + _ROWS] = rounded
    return result
