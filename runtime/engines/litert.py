"""LiteRT, the successor of TensorFlow Lite, through its Interpreter."""

from __future__ import annotations

from importlib.metadata import version

from ai_edge_litert.interpreter import Interpreter

from .tflite import TFLiteEngine, refuse_other_formats


def load(model: bytes, threads: int) -> TFLiteEngine:
    """An engine for the bytes of a TFLite file."""
    refuse_other_formats(model)
    interpreter = Interpreter(model_content=model, num_threads=threads)
    return TFLiteEngine(interpreter, "litert", version("ai-edge-litert"), threads)
