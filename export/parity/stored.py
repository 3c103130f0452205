"""The reference that goes into a bundle, for devices to check themselves by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.parity.certificate import random_pixels
from sparsr.runtime.engines.contract import ByteArray, FloatArray
from sparsr.runtime.model.reference import Reference

_MOST_BYTES = 96_000  # of the picture and its result
_TRIALS = 5
_NUDGE = 1e-4  # levels: about what engines round differently


def stored_reference(graph: DeployGraph, run: Callable[[FloatArray], FloatArray]) -> Reference | None:
    """A picture of a photograph's spectrum and what `run` makes of it; `run`: as of a certificate.

    Not one where a mask hangs on rounding: a picture changed by next to nothing must give the same. None if there is
    no such picture, or the smallest one the network takes is too large to store.
    """
    pixels = _MOST_BYTES // (3 * (1 + graph.scale**2))
    height = max(graph.minimum_size, int((pixels * 3 / 4) ** 0.5))
    width = max(graph.minimum_size, pixels // height)
    if height * width > pixels:
        return None
    for seed in range(_TRIALS):
        image = random_pixels(np.random.default_rng(seed), height, width).astype(np.uint8)
        result, nudged = (_levels(graph, run, image, nudge) for nudge in (0, _NUDGE))
        if np.abs(result.astype(int) - nudged).max() <= 1:
            return Reference(image, result)
    return None


def _levels(graph: DeployGraph, run: Callable[[FloatArray], FloatArray], image: ByteArray, nudge: float) -> ByteArray:
    values = (image + np.float32(nudge)) * np.float32(graph.value_range / 255)
    result = run(np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32))[0].transpose(1, 2, 0)
    return np.clip(np.rint(result * (255 / graph.value_range)), 0, 255).astype(np.uint8)
