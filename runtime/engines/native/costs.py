"""What convolutions cost on this machine, and what the machine can do at best."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Literal

from sparsr.runtime.engines.native.load import ERROR_BYTES, Conv, Flops, load_library, text_of
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import Sparsity

Kernel = Literal["dense", "sparse", "shared", "winograd"]
KERNELS: tuple[Kernel, ...] = ("dense", "sparse", "shared", "winograd")


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one thread for one row of a convolution's result."""

    seconds: float
    measured: bool
    """On this machine, now or earlier; else by constants."""


@dataclass(frozen=True)
class Peak:
    """Floating-point operations per second that one thread does at best (a multiply-add is two)."""

    arithmetic: float
    """On registers."""
    loading: float
    """With a vector loaded from one place in the first cache for every multiply-add."""
    near_taps: float
    """The same from irregular places, as a sparse 3x3 convolution has them, of 16 channels: all in the first cache."""
    far_taps: float
    """Of 64 channels: in the second cache, where vectors have 64 bytes."""


def layer_cost(
    inputs: int,
    outputs: int,
    side: int = 3,
    sparsity: Sparsity | None = None,
    width: int = 320,
    kernel: Kernel | None = None,
    instruction_set: str | None = None,
    stride: int = 1,
) -> Cost:
    """Cost of a convolution of side x side taps per row of its result, which is `width` pixels wide.

    sparsity: which weights there are; None: all. kernel: None for the cheapest. stride: 1 or 2. Times are measured once
    (some 10 ms each), then taken from the user's cache; SPARSR_PLAN=estimate: by constants.
    Raises `SparsrError` if the kernel cannot run such a convolution or the library cannot be built.
    """
    n, m, shared = (sparsity.n, sparsity.m, sparsity.shared) if sparsity else (1, 1, 1)
    conv, seconds, measured = Conv(inputs, outputs, side, stride, n, m, shared), ctypes.c_double(), ctypes.c_int32()
    error = ctypes.create_string_buffer(ERROR_BYTES)
    done = load_library().sparsr_conv_cost(
        conv, width, _bytes(kernel), _bytes(instruction_set), seconds, measured, error, ERROR_BYTES
    )
    if not done:
        raise SparsrError(f"the cost of a convolution {inputs}x{outputs} is not known: {text_of(error)}")
    return Cost(seconds.value, bool(measured.value))


def peak(instruction_set: str | None = None) -> Peak:
    """Measure the processor (some 50 ms). Raises `SparsrError` if it lacks the instruction set."""
    flops = Flops()
    error = ctypes.create_string_buffer(ERROR_BYTES)
    if not load_library().sparsr_peak(_bytes(instruction_set), flops, error, ERROR_BYTES):
        raise SparsrError(f"the processor cannot be measured: {text_of(error)}")
    return Peak(flops.arithmetic, flops.loading, flops.near_taps, flops.far_taps)


def _bytes(text: str | None) -> bytes | None:
    return text.encode() if text else None
