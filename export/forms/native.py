"""The native engine's model file in the making: tensors, N:M weights, and the safetensors file that holds them.

A convolution with at most N weights other than zero in every group of M input channels, for every output and tap, is
written as their values and their places in the group if that takes less room than all weights. Where V consecutive
outputs have their weights at the same places, these are written once for all of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsr.export.forms.content import content
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray
from sparsr.runtime.sparsity import GROUP_SIZES, SHARED

_ALIGNMENT = 64  # bytes; keeps tensors aligned for those who map the file


class NativeForm:
    """Collects the tensors of a program: float32, and uint8 for places of N:M weights."""

    def __init__(self) -> None:
        self.tensors: dict[str, NDArray[Any]] = {}
        self._names: dict[bytes, str] = {}

    def stored(self, node: str, **arrays: NDArray[Any]) -> dict[str, Any]:
        """Add arrays to the file's tensors, equal ones once; the entries that name them.

        Raises `SparsrError` for inf and nan.
        """
        entry = {}
        for key, array in arrays.items():
            if array.dtype == np.float32 and not np.isfinite(array).all():
                raise SparsrError(f"{node}: its {key} holds values that are not numbers", "train the network again")
            entry[key] = self._names.setdefault(content(array), f"{node}.{key}")
            self.tensors[entry[key]] = array
        return entry

    def weight(self, node: str, weight: FloatArray) -> dict[str, Any]:
        """Add a convolution's weight [outputs, inputs, height, width] in its smallest form; its entries."""
        if packed := compressed(weight):
            form = {"m": packed.m} | ({"v": packed.v} if packed.v > 1 else {})
            return form | self.stored(node, values=packed.values, indices=packed.indices)
        return self.stored(node, weight=weight)


class Packed(NamedTuple):
    """The weights of every group of `m` input channels at the places where any of `v` consecutive outputs has one.

    values: float32 [outputs, height, width, groups, n], n the largest number of places found; indices: uint8, their
    places in the group, the same shape but ceil(outputs / v) first. Groups with fewer places are filled up with zeros
    at index 0. The last group may be smaller than `m`, and the last outputs fewer than `v`.
    """

    values: FloatArray
    indices: NDArray[np.uint8]
    m: int
    v: int


def compressed(weight: FloatArray) -> Packed | None:
    """The weight in the smallest of its packed forms; None if none takes less room than [outputs, inputs, h, w]."""
    room, v, m = min((_room(weight, m, v), v, m) for v in SHARED for m in GROUP_SIZES)
    return pack(weight, m, v) if room < 4 * weight.size else None


def pack(weight: FloatArray, m: int, v: int = 1) -> Packed:
    """The weight [outputs, inputs, height, width] packed with groups of `m`, places shared by `v` outputs."""
    grouped, used = _grouped(weight, m, v)
    places = np.argsort(~used, axis=-1, kind="stable")[..., : _most(used)]  # those in use first, in order
    filled = np.take_along_axis(used, places, -1)
    of_output = np.arange(len(weight)) // v
    values = np.where(filled[of_output], np.take_along_axis(grouped, places[of_output], -1), 0)
    return Packed(values, np.where(filled, places, 0).astype(np.uint8), m, v)


def _grouped(weight: FloatArray, m: int, v: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The weight as [outputs, height, width, groups, m], and where any of `v` outputs is not zero."""
    outputs, inputs, height, width = weight.shape
    groups = math.ceil(inputs / m)
    padded = np.zeros((outputs, groups * m, height, width), np.float32)
    padded[:, :inputs] = weight
    grouped = padded.reshape(outputs, groups, m, height, width).transpose(0, 3, 4, 1, 2)
    return grouped, np.logical_or.reduceat(grouped != 0, range(0, outputs, v))


def _most(used: NDArray[np.bool_]) -> int:
    return int(used.sum(-1).max(initial=0))


def _room(weight: FloatArray, m: int, v: int) -> int:
    """Bytes of the packed weight."""
    _, used = _grouped(weight, m, v)
    lists = used[0, ..., 0].size * _most(used)  # of an output
    return lists * (4 * len(weight) + len(used))


def safetensors(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """A file in the safetensors format, its entries in the given order: the same input gives the same bytes."""
    kinds = {np.dtype(np.float32): "F32", np.dtype(np.uint8): "U8"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    content = bytearray()
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].itemsize):  # floats first: they stay aligned
        data = np.ascontiguousarray(array).tobytes()
        place = [len(content), len(content) + len(data)]
        header[name] = {"dtype": kinds[array.dtype], "shape": list(array.shape), "data_offsets": place}
        content += data
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + bytes(content)
