"""A masked block in terms of plain convolutions, for formats whose runtimes know no masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.ir.layers import BoolArray, FloatArray, MaskedBlock


@dataclass(frozen=True)
class MaskedLayer:
    """One layer: relu(max(mask, everywhere) * conv(x, weight)), or with `quiet`
    relu(mask * conv(x, weight) + (1 - mask) * conv(x, weight * quiet)). The mask is 1 at important pixels and else 0.

    weight: [channels, channels, 3, 3]; everywhere: bool [channels]; quiet: bool [channels, channels].
    """

    weight: FloatArray
    everywhere: BoolArray
    quiet: BoolArray | None


def masked_layers(block: MaskedBlock) -> list[MaskedLayer]:
    """The block's layers. A second convolution is needed only where dense channels read a part of their inputs."""
    layers = []
    before = np.ones(block.dense.shape[1], bool)
    for weight, dense in zip(block.weights, block.dense, strict=True):
        quiet = dense[:, None] & before if dense.any() and before.any() and not before.all() else None
        layers.append(MaskedLayer(weight, dense & before.all(), quiet))
        before = dense
    return layers
