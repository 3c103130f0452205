"""The engines that run a bundle's model files: a file per engine, each package imported only when asked for."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import ModelFormat

Precision = Literal["fp32", "fp16"]
"""What an engine computes in. fp16 is the native engine's only, for networks without masked blocks: activations and
sums in half precision, on an arm64 processor with FEAT_FP16 (ARMv8.2, such as Cortex-A55 and A76). It takes half of the
memory, and its results have a PSNR of at least 60 dB against those of fp32. It is for N:M networks: they execute half
of the instructions, but wide dense 3x3 layers more than in fp32, where they have Winograd's method."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]
MAX_THREADS = 1024
WITH_SPARSR = "+sparsr"
"""Ends the names of engines that hand the network to an operator of libsparsr."""


class Engine(Protocol):
    """A loaded model."""

    name: str
    version: str
    """Version of the package."""
    threads: int

    def run(self, image: FloatArray) -> FloatArray:
        """The model's output for one float32 image in the file's layout, batch dimension included.

        Inputs may change their height and width from call to call; an unchanged size is faster.
        """


@runtime_checkable
class ByteEngine(Engine, Protocol):
    """An engine that also takes and gives 8-bit pixels, which saves their conversion."""

    def run_bytes(self, image: ByteArray) -> ByteArray:
        """uint8 [h, w, 3] in any memory order -> uint8 [s*h, s*w, 3], rounded and clipped."""


@runtime_checkable
class LineEngine(Engine, Protocol):
    """An engine that computes images of any width as if it were a whole multiple of `columns`."""

    columns: int


@runtime_checkable
class SharingEngine(Engine, Protocol):
    """An engine of which several can run one model in memory."""

    def share(self, threads: int) -> Engine:
        """Another one with this one's model, which may run at the same time."""


@dataclass(frozen=True)
class EngineKind:
    """An engine that can be loaded, and what one input pixel of a tile costs it in memory.

    Per pixel: `activation_factor` * the card's `peak_activation_bytes_per_pixel`, and `convolution_bytes` for every
    convolution. Fitted from above to VmHWM of fresh processes (ASSLN, EDSR, CARN-M, IMDN at x2 and x4).
    """

    name: str
    format: ModelFormat
    package: str
    """The distribution pip installs; for our own engine what builds it."""
    module: str
    """What it is imported as."""
    activation_factor: float
    convolution_bytes: int

    @property
    def released(self) -> bool:
        """Whether the package has releases for this Python."""
        return self.package not in _NOT_FROM or sys.version_info < _NOT_FROM[self.package]

    @property
    def remedy(self) -> str:
        """How to get the engine."""
        if not self.released:
            return "use another engine: litert runs the same files"
        return _INSTALLED_BY.get(self.package, f"pip install {self.package}")

    @property
    def with_sparsr(self) -> bool:
        """Whether libsparsr does the work inside another engine."""
        return self.name.endswith(WITH_SPARSR)

    @property
    def needs_sparsr(self) -> bool:
        """Whether libsparsr does the work, alone or inside another engine."""
        return self.with_sparsr or self.format == "native"


# The first version of Python that a package without new releases is not for.
_NOT_FROM: dict[str, tuple[int, ...]] = {"tflite-runtime": (3, 12)}
_INSTALLED_BY = {
    "cmake": "apt install cmake g++",
    "ai-edge-litert": "pip install 'sparsr[litert]'",
    "tflite-runtime": "pip install 'sparsr[tflite]'",
}

# XNNPACK keeps an indirection buffer per convolution: a pointer for each of the 9 taps of every pixel.
_INDIRECTION = 9 * 8

ENGINES: dict[str, EngineKind] = {
    kind.name: kind
    for kind in (
        EngineKind("ort", "onnx", "onnxruntime", "onnxruntime", 1.65, 0),
        EngineKind("ort+sparsr", "onnx", "onnxruntime", "onnxruntime", 1.2, 0),
        EngineKind("litert", "tflite", "ai-edge-litert", "ai_edge_litert.interpreter", 1.2, _INDIRECTION),
        EngineKind("tflite_runtime", "tflite", "tflite-runtime", "tflite_runtime.interpreter", 1.2, _INDIRECTION),
        EngineKind("litert+sparsr", "tflite-sparse", "ai-edge-litert", "ai_edge_litert.interpreter", 1.2, 0),
        EngineKind("tflite_runtime+sparsr", "tflite-sparse", "tflite-runtime", "tflite_runtime.interpreter", 1.2, 0),
        EngineKind("native", "native", "cmake", "ctypes", 1.2, 0),
    )
}

_IMPLEMENTATIONS = {
    name: f"sparsr.runtime.engines.{module}"
    for name, module in (
        ("ort", "ort"),
        ("litert", "litert"),
        ("tflite_runtime", "tflite_runtime"),
        ("native", "native.engine"),
    )
}


@contextmanager
def failures_told(engine: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what a package raises while it runs a model on an input of `shape` into `SparsrError`."""
    try:
        yield
    except Exception as error:  # packages raise what they like
        raise SparsrError(
            f"{engine} cannot run the model on an input of shape {'x'.join(map(str, shape))}: {error}",
            "try smaller tiles (--tile), more memory, or another engine (--engine)",
        ) from error


def engine_kind(name: str) -> EngineKind:
    """The engine called `name`. Raises `SparsrError` naming the nearest one if there is none."""
    if name in ENGINES:
        return ENGINES[name]
    close = difflib.get_close_matches(name, ENGINES, 1, 0.4)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(ENGINES)}"
    raise SparsrError(f"there is no engine {name!r}", hint)


def default_engine(formats: Collection[str]) -> str:
    """The engine for a bundle with files of these formats: ours where it can be built, else the first that fits.

    Raises `SparsrError` if none does, and warns if ours is not to be had.
    """
    trouble = _native_trouble() if "native" in formats else None
    if "native" in formats and not trouble:
        return "native"
    for name, kind in ENGINES.items():
        if kind.format in formats and kind.name != "native" and not kind.with_sparsr:
            if trouble:
                warnings.warn(f"{name} takes over, because {trouble}; {trouble.hint}", stacklevel=2)
            return name
    raise SparsrError(
        f"no engine here runs {' or '.join(formats) or 'a bundle without files'}",
        "install cmake and a C++17 compiler, or export the bundle with --format onnx",
    )


@functools.cache
def _native_trouble() -> SparsrError | None:
    from sparsr.runtime.engines.native.build import PREBUILT, library_path

    try:
        path = library_path()
    except SparsrError as error:
        return error
    return None if path.is_file() else SparsrError(f"{path} does not exist", f"unset {PREBUILT}")


def load_engine(name: str, model: bytes, threads: int | None = None, precision: Precision = "fp32") -> Engine:
    """Load a model file's bytes into the engine `name`; None threads: one per core this process may use.

    Raises `SparsrError` if there is no such engine, its package is missing or broken, it refuses the model or does not
    compute in `precision` here.
    """
    kind = engine_kind(name)
    if precision != "fp32" and kind.format != "native":
        raise SparsrError(f"the engine {name} computes in fp32 only", f"use --engine native, or leave out {precision}")
    threads = available_cores() if threads is None else threads
    if not 1 <= threads <= MAX_THREADS:
        raise SparsrError(f"{threads} threads are not possible", f"ask for 1 to {MAX_THREADS}")
    try:
        importlib.import_module(kind.module)
        implementation = importlib.import_module(_IMPLEMENTATIONS[name.removesuffix(WITH_SPARSR)])
    except ImportError as error:
        raise SparsrError(
            f"the engine {name} needs the package {kind.package}, which cannot be imported ({error})",
            kind.remedy,
        ) from error
    load = implementation.load_with_sparsr if kind.with_sparsr else implementation.load
    if precision != "fp32":
        load = functools.partial(load, precision=precision)
    try:
        engine: Engine = load(model, threads)
    except SparsrError:
        raise
    except Exception as error:  # every engine has its own exception types, without a common base
        raise SparsrError(f"the engine {name} cannot load the model: {_first_line(error)}") from error
    return engine


def available_cores() -> int:
    """Cores this process may run on, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
