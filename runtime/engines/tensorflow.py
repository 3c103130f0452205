"""TensorFlow Lite's interpreter inside the TensorFlow package."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else it greets with seven lines of its processor's features

from tensorflow.lite.python.interpreter import Interpreter, InterpreterWithCustomOps

from sparsr.runtime.engines.native.load import register_with_tflite
from sparsr.runtime.engines.tflite import TFLiteEngine, refuse_other_formats, version_with_sparsr

_PACKAGES = ("tensorflow-cpu", "tensorflow")
"""The same modules; the first brings no CUDA."""


def load(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for the bytes of a TFLite file."""
    refuse_other_formats(model)
    with _unwarned():
        interpreter = Interpreter(model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "tensorflow", version(_package()), threads)


def load_with_sparsr(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for a TFLite file of libsparsr's operator."""
    refuse_other_formats(model)
    versions = version_with_sparsr(_package())
    with _unwarned():
        interpreter = InterpreterWithCustomOps([register_with_tflite], model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "tensorflow+sparsr", versions, threads)


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without TensorFlow's word that LiteRT succeeds its interpreter: who asks for this one wants this one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _package() -> str:
    for package in _PACKAGES:
        try:
            version(package)
        except PackageNotFoundError:
            continue
        return package
    return _PACKAGES[0]
