"""Colour under transparent pixels: nobody sees it, but networks do, and it would bleed into visible edges.

What is hidden (alpha 0) gets the colour of the visible pixels around it, nearer ones first: means over blocks of twice
the side, weighted by alpha, fill what has no visible pixel (push-pull of Gortler et al., The Lumigraph, 1996).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.samples import WHITE, Samples

_ROWS = 256  # of a picture, looked at together


def covered(rgb: Samples, alpha: Samples) -> Samples:
    """rgb [h, w, 3] with visible colour under all pixels of alpha [h, w] 0; itself where there is none, or no other."""
    if alpha.all() or not alpha.any():
        return rgb
    result = rgb.copy()
    sums = _halved(rgb, alpha)
    means = _filled(*sums)
    for top in range(0, len(rgb), _ROWS):
        hidden = alpha[top : top + _ROWS] == 0
        rows, columns = np.nonzero(hidden)
        filled = means[(rows + top) // 2, columns // 2]
        whole = filled if rgb.dtype == np.float32 else filled + 0.5
        result[top : top + _ROWS][hidden] = np.clip(whole, 0, WHITE[rgb.dtype])
    return result


Plane = NDArray[np.float32]


def _halved(rgb: Samples, alpha: Samples) -> tuple[Plane, Plane]:
    """Sums over blocks of two by two pixels: of the colours times alpha, and of alpha; of a large picture by parts."""
    height, width = alpha.shape
    size = -(-height // 2), -(-width // 2)
    colours, weights = np.empty((*size, 3), np.float32), np.empty(size, np.float32)
    for top in range(0, height, _ROWS):
        weight = alpha[top : top + _ROWS].astype(np.float32) / np.float32(WHITE[alpha.dtype])
        rows = slice(top // 2, top // 2 + -(-len(weight) // 2))
        weights[rows] = _block_sums(weight)
        colours[rows] = _block_sums(rgb[top : top + _ROWS] * weight[..., None])
    return colours, weights


def _filled(colours: Plane, weights: Plane) -> Plane:
    """The mean colour of every block, taken from larger blocks where nothing is visible."""
    if weights.all() or min(weights.shape) == max(weights.shape) == 1:
        return colours / np.maximum(weights, np.float32(1e-6))[..., None]
    larger = _filled(_block_sums(colours), _block_sums(weights))
    around = larger.repeat(2, axis=0).repeat(2, axis=1)[: weights.shape[0], : weights.shape[1]]
    means: Plane = np.divide(colours, weights[..., None], out=around.copy(), where=weights[..., None] > 0)
    return means


def _block_sums(plane: Plane) -> Plane:
    """Sums over blocks of two by two; borders that lack a neighbour stand alone."""
    height, width = plane.shape[:2]
    padded = np.pad(plane, ((0, height % 2), (0, width % 2), *[(0, 0)] * (plane.ndim - 2)))
    total: Plane = padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    return total
