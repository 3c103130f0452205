"""The engines that run a bundle's model files: a file per engine, each package imported only when asked for."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sparsr.runtime.arguments import as_whole_number
from sparsr.runtime.engines.contract import Engine, Precision, RowEngine
from sparsr.runtime.engines.failures import reason_of
from sparsr.runtime.engines.whole_image import WholeImage
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import ModelFormat
from sparsr.runtime.nearest import meant

MAX_THREADS = 1024
WITH_SPARSR = "+sparsr"
"""Ends the names of engines that hand the network to an operator of libsparsr."""


@dataclass(frozen=True)
class EngineKind:
    """An engine that can be loaded."""

    name: str
    format: ModelFormat
    package: str
    """The distribution pip installs; for our own engine what builds it."""
    module: str
    """What it is imported as."""
    optional: bool = False
    """Nobody needs it: it is measured, and proven to compute the same, where it is installed."""

    @property
    def installed(self) -> bool:
        """Whether its package is here; nothing is imported."""
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None

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
    "tensorflow-cpu": "pip install 'sparsr[tensorflow]'",
    "opencv-python-headless": "pip install 'sparsr[opencv]'",
}

ENGINES: dict[str, EngineKind] = {
    kind.name: kind
    for kind in (
        EngineKind("ort", "onnx", "onnxruntime", "onnxruntime"),
        EngineKind("ort+sparsr", "onnx", "onnxruntime", "onnxruntime"),
        EngineKind("litert", "tflite", "ai-edge-litert", "ai_edge_litert.interpreter"),
        EngineKind("tflite_runtime", "tflite", "tflite-runtime", "tflite_runtime.interpreter", optional=True),
        EngineKind("litert+sparsr", "tflite-sparse", "ai-edge-litert", "ai_edge_litert.interpreter"),
        EngineKind(
            "tflite_runtime+sparsr", "tflite-sparse", "tflite-runtime", "tflite_runtime.interpreter", optional=True
        ),
        EngineKind("native", "native", "cmake", "ctypes"),
        EngineKind("opencv", "onnx", "opencv-python-headless", "cv2", optional=True),
        EngineKind("tensorflow", "tflite", "tensorflow-cpu", "tensorflow", optional=True),
        EngineKind("tensorflow+sparsr", "tflite-sparse", "tensorflow-cpu", "tensorflow", optional=True),
    )
}

_IMPLEMENTATIONS = {
    name: f"sparsr.runtime.engines.{module}"
    for name, module in (
        ("ort", "ort"),
        ("litert", "litert"),
        ("tflite_runtime", "tflite_runtime"),
        ("native", "native.engine"),
        ("opencv", "opencv"),
        ("tensorflow", "tensorflow"),
    )
}


def engine_kind(name: str) -> EngineKind:
    """The engine called `name`. Raises `SparsrError` naming the nearest one if there is none."""
    if isinstance(name, str) and name in ENGINES:
        return ENGINES[name]
    raise SparsrError(f"there is no engine {name!r}", meant(str(name), ENGINES))


def default_engine(formats: Collection[str]) -> str:
    """The engine for a bundle with files of these formats: ours where it can be built, else the first that fits.

    Raises `SparsrError` if none does, and warns if ours is not to be had.
    """
    trouble = _native_trouble() if "native" in formats else None
    if "native" in formats and not trouble:
        return "native"
    for name, kind in ENGINES.items():
        if kind.format in formats and kind.name != "native" and not (kind.with_sparsr or kind.optional):
            if trouble:
                warnings.warn(f"{name} takes over, because {trouble}; {trouble.hint}", stacklevel=2)
            return name
    nothing = f"no engine here runs {' or '.join(formats) or 'a bundle without files'}"
    if trouble:
        raise SparsrError(f"{nothing}: {trouble}", trouble.hint)
    raise SparsrError(nothing, "export the bundle with --format onnx")


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
    threads = available_cores() if threads is None else as_whole_number("the number of threads", threads)
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
        raise SparsrError(f"the engine {name} cannot load the model: {reason_of(error)}") from error
    return engine


def open_engine(bundle: Bundle, name: str, threads: int | None = None, precision: Precision = "fp32") -> RowEngine:
    """The engine `name` with the bundle's model file for it; see `load_engine`, which says what is raised."""
    kind = engine_kind(name)
    if name in bundle.card.wrong_engines:
        problem = f"the engine {name} computes something else from {bundle.card.name}, as its export found"
        raise SparsrError(problem, f"use another: {', '.join(ENGINES)}")
    file, model = bundle.file(kind.format), bundle.model(kind.format)
    threads = available_cores() if threads is None else as_whole_number("the number of threads", threads)

    def load(count: int) -> Any:
        return load_engine(name, model, count, precision)

    return load(threads) if kind.format == "native" else WholeImage(load, threads, bundle.card, file)


def available_cores() -> int:
    """Cores this process may run on, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
