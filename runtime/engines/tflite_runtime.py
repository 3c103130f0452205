"""The tflite_runtime package (last release 2.14, 2023), still found on many devices."""

from __future__ import annotations

from importlib.metadata import version

from tflite_runtime.interpreter import Interpreter, InterpreterWithCustomOps

from sparsr.runtime.engines.native.load import register_with_tflite
from sparsr.runtime.engines.tflite import TFLiteEngine, refuse_other_formats, version_with_sparsr


def load(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for the bytes of a TFLite file."""
    refuse_other_formats(model)
    interpreter = Interpreter(model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "tflite_runtime", version("tflite-runtime"), threads)


def load_with_sparsr(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for a TFLite file of libsparsr's operator."""
    refuse_other_formats(model)
    versions = version_with_sparsr("tflite-runtime")
    interpreter = InterpreterWithCustomOps([register_with_tflite], model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "tflite_runtime+sparsr", versions, threads)
