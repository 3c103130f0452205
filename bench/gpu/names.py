"""The engines of the target `gpu`: a row per way of running a network. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from sparsr.bench.gpu.contract import DeviceRun, Mode, Precision

Load = Callable[[Path], DeviceRun]
"""From an ONNX file of standard operators."""


def _torch(mode: Mode, precision: Precision, channels_last: bool) -> Load:
    def load(path: Path) -> DeviceRun:
        from sparsr.bench.gpu.torch_engine import TorchRun

        return TorchRun(path, mode, precision, channels_last)

    return load


def _ort(precision: Precision) -> Load:
    def load(path: Path) -> DeviceRun:
        from sparsr.bench.gpu.ort_cuda import OrtCudaRun

        return OrtCudaRun(path, precision)

    return load


GPU_ENGINES: dict[str, tuple[Precision, str, Load]] = {
    **{
        f"torch-{mode}-{precision}": (precision, "torch", _torch(mode, precision, channels_last=True))
        for mode in get_args(Mode)
        for precision in get_args(Precision)
    },
    "torch-eager-float32-nchw": ("float32", "torch", _torch("eager", "float32", channels_last=False)),
    "ort-cuda-float32": ("float32", "onnxruntime-gpu", _ort("float32")),
    "ort-cuda-tf32": ("tf32", "onnxruntime-gpu", _ort("tf32")),
}
"""Name -> what it computes in, its package, how it is loaded. PyTorch's are channels last unless the name says nchw."""
