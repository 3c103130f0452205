"""ONNX Runtime on the CPU."""

from __future__ import annotations

import onnxruntime

from . import FloatArray
from .onnx_external import refuse_external_data

_SILENT = 3  # errors only: warnings about shapes and devices are not the user's concern


class OrtEngine:
    """A session for one image at a time."""

    name = "ort"
    version: str = onnxruntime.__version__

    def __init__(self, model: bytes, threads: int) -> None:
        refuse_external_data(model)
        self.threads = threads
        self._session = onnxruntime.InferenceSession(model, _options(threads), providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, image: FloatArray) -> FloatArray:
        """[1, 3, h, w] -> [1, 3, s*h, s*w]."""
        result: FloatArray = self._session.run(None, {self._input: image})[0]
        return result


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _SILENT
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Memory patterns plan one block for a whole run: half as much again as the arena needs (measured, ASSLN and EDSR).
    options.enable_mem_pattern = False
    # Spinning workers burn the cores that decode, write and filter pictures between two tiles.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


load = OrtEngine
