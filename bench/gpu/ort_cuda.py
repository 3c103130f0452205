"""ONNX Runtime's CUDA provider, its tensors kept on the device."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnxruntime

from sparsr.bench.gpu.contract import Precision
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

_PROVIDER = "CUDAExecutionProvider"


class OrtCudaRun:
    """One session."""

    peak_bytes: int | None = None

    def __init__(self, path: Path, precision: Precision) -> None:
        """Raises `SparsrError` where the provider is missing or does not start."""
        if _PROVIDER not in onnxruntime.get_available_providers():
            raise SparsrError("this ONNX Runtime has no CUDA provider", "pip install onnxruntime-gpu, on an NVIDIA GPU")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        settings = {"use_tf32": int(precision == "tf32"), "cudnn_conv_algo_search": "EXHAUSTIVE"}
        self._session = onnxruntime.InferenceSession(path, options, providers=[(_PROVIDER, settings)])
        if _PROVIDER not in self._session.get_providers():
            raise SparsrError(
                "ONNX Runtime's CUDA provider does not start", "do driver, CUDA and cuDNN fit its version?"
            )
        self.seconds = 0.0

    def __call__(self, image: FloatArray) -> FloatArray:
        """[1, 3, h, w] -> [1, 3, s*h, s*w]; `seconds` from the call to the device's end, without copies to the host."""
        binding = self._session.io_binding()
        sent = onnxruntime.OrtValue.ortvalue_from_numpy(image, "cuda", 0)
        binding.bind_ortvalue_input(self._session.get_inputs()[0].name, sent)
        binding.bind_output(self._session.get_outputs()[0].name, "cuda")
        start = time.perf_counter()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        self.seconds = time.perf_counter() - start
        return np.asarray(binding.get_outputs()[0].numpy(), np.float32)
