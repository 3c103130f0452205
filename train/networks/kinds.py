"""The kinds of operation a network is understood as, and how the rules for torch's operations see tensors.

Options of kinds that have any: leaky_relu has slope; clip low and high; affine factor and offset; slice start and
stop; part axis, index and count; join axis; pad_to_multiple rows and columns; crop_like most; avg_pool and max_pool
kernel and stride; nearest, bilinear and bicubic factor; pixel_shuffle and pixel_unshuffle block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "conv",
    "conv_transpose",
    "masked",
    "relu",
    "leaky_relu",
    "prelu",
    "sigmoid",
    "silu",
    "tanh",
    "clip",
    "affine",
    "channel_affine",
    "add",
    "sub",
    "mul",
    "concat",
    "slice",
    "part",
    "join",
    "mean",
    "std",
    "avg_pool",
    "max_pool",
    "pad_to_even",
    "pad_to_multiple",
    "crop_like",
    "resize",
    "nearest",
    "bilinear",
    "bicubic",
    "pixel_shuffle",
    "pixel_unshuffle",
    "identity",
]

WEIGHTED: tuple[Kind, ...] = ("conv", "conv_transpose", "masked", "prelu", "channel_affine")
"""Kinds whose weights are in the operation's module."""


class UnsupportedError(Exception):
    """The operation is known, this use of it is not."""


@dataclass(frozen=True)
class TensorRef:
    """A tensor, as the rules see it."""

    name: str
    channels: int


@dataclass(frozen=True)
class SizeOf:
    """Height and width of a tensor."""

    tensor: TensorRef


Meaning = tuple[Kind, Sequence[TensorRef], dict[str, Any]]
"""What an operation is: its kind, the tensors read and the kind's options."""


def require(condition: bool, message: str) -> None:
    """Raise `UnsupportedError` unless `condition`."""
    if not condition:
        raise UnsupportedError(message)
