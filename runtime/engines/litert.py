"""LiteRT, the successor of TensorFlow Lite, through its Interpreter."""

from __future__ import annotations

from importlib.metadata import version

from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps

from sparsr.runtime.engines.native.load import register_with_tflite
from sparsr.runtime.engines.tflite import TFLiteEngine, refuse_other_formats, version_with_sparsr


def load(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for the bytes of a TFLite file."""
    refuse_other_formats(model)
    interpreter = Interpreter(model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "litert", version("ai-edge-litert"), threads)


def load_with_sparsr(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for a TFLite file of libsparsr's operator."""
    refuse_other_formats(model)
    versions = version_with_sparsr("ai-edge-litert")
    interpreter = InterpreterWithCustomOps([register_with_tflite], model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "litert+sparsr", versions, threads)
