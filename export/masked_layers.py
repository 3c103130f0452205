"""A masked block in terms of plain convolutions, for formats whose runtimes know no masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.layers import BoolArray, FloatArray, MaskedBlock


@dataclass(frozen=True)
class MaskedLayer:
    """One layer: relu(max(mask, dense) * conv(x, whole)), or with `quiet` weights
    relu(mask * conv(x, whole) + (1 - mask) * conv(x, quiet)). The mask is 1 at important pixels and else 0."""

    whole: FloatArray
    quiet: FloatArray | None
    dense: BoolArray


def masked_layers(block: MaskedBlock) -> list[MaskedLayer]:
    """The block's layers. A second convolution is needed only where dense channels read a part of their inputs."""
    layers = []
    before = np.ones(block.dense.shape[1], bool)
    for weight, dense in zip(block.weights, block.dense, strict=True):
        partial = dense.any() and before.any() and not before.all()
        quiet = weight * (dense[:, None] & before)[:, :, None, None] if partial else None
        everywhere = dense & before.all()  # these read all there is, at every pixel
        layers.append(MaskedLayer(weight, quiet, everywhere))
        before = dense
    return layers
