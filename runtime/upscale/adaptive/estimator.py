"""The estimator: from a patch alone, the squared error every candidate will make on it.

Ours; the paper says only that a light network per candidate estimates the error. One small network for all candidates:

    luma minus its mean over the patch, divided by 32
    conv 4x4, stride 2 -> ReLU -> conv 3x3, stride 2 -> ReLU -> mean over the patch -> log(1e-3 + x)
    dense -> ReLU -> dense -> log of the mean squared error per candidate

No convolution pads, so that an estimate depends on nothing outside of its patch. Plain numpy: every engine uses the
same estimates, and they cost less than a hundredth of the smallest network that is of use.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

ByteArray = NDArray[np.uint8]
LUMA = np.array([65.481, 128.553, 24.966], np.float32) / 255  # BT.601, as quality is measured
SPREAD = 32.0
FLOOR = 1e-3
STRIDE = 2
KERNELS = (4, 3)
MAX_WIDTH = 1024
"""Most channels a layer may have."""
TENSORS = ("conv1", "conv2", "dense1", "dense2")
_HIGHEST = 255.0**2  # no error is larger
_AT_ONCE = 1024  # patches


@dataclass(frozen=True, eq=False)
class Estimator:
    """Weights as torch keeps them: convolutions [out, in, k, k], dense layers [out, in]; a bias each."""

    weights: dict[str, FloatArray]
    """`conv1.weight`, `conv1.bias`, ... for all of `TENSORS`."""

    @property
    def candidates(self) -> int:
        """How many candidates it knows."""
        return len(self.weights["dense2.bias"])

    def macs(self, patch: int) -> int:
        """Multiply-adds for a patch of that many pixels a side."""
        first = _convolved(patch, KERNELS[0])
        second = _convolved(first, KERNELS[1])
        sizes = {name: self.weights[f"{name}.weight"].size for name in TENSORS}
        return sizes["conv1"] * first**2 + sizes["conv2"] * second**2 + sizes["dense1"] + sizes["dense2"]

    def __call__(self, image: ByteArray, patch: int) -> NDArray[np.float64]:
        """Mean squared error (luma, of 0..255) of every candidate: uint8 [h, w, 3] -> [n, rows, columns].

        Patches of `patch` pixels a side from the top left; the last ones are continued by their border pixels.
        """
        height, width = image.shape[:2]
        luma = image @ LUMA
        luma = np.pad(luma, ((0, -height % patch), (0, -width % patch)), mode="edge")
        rows, columns = luma.shape[0] // patch, luma.shape[1] // patch
        patches = luma.reshape(rows, patch, columns, patch).swapaxes(1, 2).reshape(-1, patch, patch)
        parts = [self._logarithms(patches[start : start + _AT_ONCE]) for start in range(0, len(patches), _AT_ONCE)]
        logarithms = np.nan_to_num(np.concatenate(parts).astype(np.float64), nan=np.inf)
        return np.exp(np.minimum(logarithms, np.log(_HIGHEST))).T.reshape(-1, rows, columns)

    def _logarithms(self, patches: FloatArray) -> FloatArray:
        """[patches, p, p] -> [patches, n]."""
        x = (patches - patches.mean((1, 2), keepdims=True))[..., None] / np.float32(SPREAD)
        for name in TENSORS[:2]:
            x = np.maximum(_conv(x, self.weights[f"{name}.weight"]) + self.weights[f"{name}.bias"], 0)
        x = np.log(x.mean((1, 2)) + np.float32(FLOOR))
        x = np.maximum(x @ self.weights["dense1.weight"].T + self.weights["dense1.bias"], 0)
        result: FloatArray = x @ self.weights["dense2.weight"].T + self.weights["dense2.bias"]
        return result

    @classmethod
    def read(cls, content: bytes) -> Self:
        """From the bytes of a safetensors file. Raises ValueError if it is not such an estimator."""
        header, data = _split(content)
        weights: dict[str, FloatArray] = {}
        for name in (f"{tensor}.{part}" for tensor in TENSORS for part in ("weight", "bias")):
            weights[name] = _tensor(name, header.get(name), data)
        _check(weights)
        return cls(weights)


def metadata(content: bytes) -> dict[str, str]:
    """What the file says about itself. Raises ValueError if it is no safetensors file."""
    found = _split(content)[0].get("__metadata__", {})
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def load_estimator(content: bytes, where: str) -> Estimator:
    """As `Estimator.read`; raises `SparsrError` naming `where`."""
    try:
        return Estimator.read(content)
    except ValueError as error:
        hint = "build the bundle again, or fetch it anew"
        raise SparsrError(f"{where} is not an estimator: {error}", hint) from error


def _convolved(side: int, kernel: int) -> int:
    return (side - kernel) // STRIDE + 1


def _conv(x: FloatArray, weight: FloatArray) -> FloatArray:
    """[patches, h, w, in] with [out, in, k, k], stride 2, no padding -> [patches, h', w', out]."""
    kernel = weight.shape[2]
    height, width = (_convolved(side, kernel) * STRIDE for side in x.shape[1:3])
    taps = [x[:, i : i + height : STRIDE, j : j + width : STRIDE] for i, j in np.ndindex(kernel, kernel)]
    columns = np.concatenate(taps, axis=-1)  # row, column, in
    rows = columns.reshape(-1, columns.shape[-1])  # a single product is several times as fast as one per row of patches
    result: FloatArray = rows @ weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))
    return result.reshape(*columns.shape[:3], -1)


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError("it is no whole safetensors file")
    try:
        header = json.loads(content[8 : 8 + length])
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header, content[8 + length :]


def _tensor(name: str, entry: Any, data: bytes) -> FloatArray:
    try:
        kind, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"it has no tensor {name}") from error
    numbers = [*shape, start, stop] if isinstance(shape, list) else []
    sound = kind == "F32" and numbers and all(type(n) is int and 0 <= n <= len(data) for n in numbers)
    if not sound or len(shape) > 4 or stop - start != 4 * int(np.prod([int(n) for n in shape], dtype=object)):
        raise ValueError(f"its tensor {name} is damaged")
    values = np.frombuffer(data[start:stop], "<f4").reshape(shape)
    if not np.isfinite(values).all():
        raise ValueError(f"its tensor {name} holds values that are no numbers")
    return values


def _check(weights: dict[str, FloatArray]) -> None:
    inputs = 1
    for name, kernel in zip(TENSORS, (*KERNELS, 0, 0), strict=True):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        outputs = len(bias) if bias.ndim == 1 else 0
        if not 1 <= outputs <= MAX_WIDTH or weight.shape != (outputs, inputs, *(kernel, kernel)[: kernel and 2]):
            raise ValueError(f"its layer {name} has the shapes {weight.shape} and {bias.shape}")
        inputs = outputs
