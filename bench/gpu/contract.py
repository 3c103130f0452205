"""What engines on a device tell beside their result."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from sparsr.runtime.samples import FloatArray

Mode = Literal["eager", "compiled", "graph"]
Precision = Literal["float32", "tf32", "float16", "bfloat16"]


@runtime_checkable
class DeviceRun(Protocol):
    """An inference on a device with a clock and a memory of its own."""

    seconds: float
    """Of the last run, on the device: no copies from and to the host."""

    @property
    def peak_bytes(self) -> int | None:
        """Peak of the device's memory; None where it is not known."""

    def __call__(self, image: FloatArray) -> FloatArray:
        """float32 [1, 3, h, w] -> [1, 3, s*h, s*w]."""
