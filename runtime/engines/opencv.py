"""OpenCV's dnn module on the ONNX file. It knows neither functions nor shapes computed while running."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from sparsr.runtime.engines.failures import failures_told
from sparsr.runtime.engines.onnx_external import refuse_external_data
from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.samples import FloatArray

_WASTE = 2.0
"""Share of its blobs' peak in the maps alive at once; not measured, an allowance."""


class OpenCvEngine:
    """A network for one image at a time."""

    name = "opencv"
    version: str = cv2.__version__

    def __init__(self, model: bytes, threads: int) -> None:
        refuse_external_data(model)
        self.threads = threads
        cv2.setNumThreads(threads)
        cv2.setLogLevel(0)  # what it cannot read it says in the exception too
        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(_standard_operators(model), np.uint8))

    def run(self, image: FloatArray) -> FloatArray:
        """[1, 3, h, w] -> [1, 3, s*h, s*w]."""
        with failures_told(self.name, image.shape):
            self._network.setInput(image)
            result = self._network.forward()
        return np.array(result, np.float32)  # a copy: it keeps the memory for the next run

    def feature_bytes(self, card: BundleCard) -> float:
        """The maps alive at once, and an allowance."""
        return _WASTE * card.peak_activation_bytes_per_pixel


def _standard_operators(model: bytes) -> bytes:
    """The model with ONNX Runtime's copy of every function's body in its place, and constants computed."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


load = OpenCvEngine
