"""The tflite_runtime package (last release 2.14, 2023), still found on many devices."""

from __future__ import annotations

from importlib.metadata import version

from tflite_runtime.interpreter import Interpreter

from .tflite import TFLiteEngine, refuse_other_formats


def load(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for the bytes of a TFLite file."""
    refuse_other_formats(model)
    interpreter = Interpreter(model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "tflite_runtime", version("tflite-runtime"), threads)
