"""ONNX Runtime on the CPU, alone or with libsparsr's operator."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from sparsr.runtime.engines.failures import failures_told
from sparsr.runtime.engines.native.build import digest, library_path
from sparsr.runtime.engines.onnx_external import domains, refuse_external_data
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.samples import FloatArray

_ARENA_WASTE = 1.65
"""Largest share of the arena's peak in the maps alive at once, in fresh processes; 1.2 where libsparsr has the maps."""
_SPARSR_WASTE = 1.2
_SILENT = 3  # errors only: warnings about shapes and devices are not the user's concern


class OrtEngine:
    """A session for one image at a time; `library` holds custom operators."""

    name = "ort"
    version: str = onnxruntime.__version__

    def __init__(self, model: bytes, threads: int, library: Path | None = None) -> None:
        refuse_external_data(model)
        self.threads = threads
        self._waste = _ARENA_WASTE if library is None else _SPARSR_WASTE
        options = _options(threads)
        if library is not None:
            options.register_custom_ops_library(str(library))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, image: FloatArray) -> FloatArray:
        """[1, 3, h, w] -> [1, 3, s*h, s*w]."""
        with failures_told(self.name, image.shape):
            result: FloatArray = self._session.run(None, {self._input: image})[0]
        return result

    def feature_bytes(self, card: BundleCard) -> float:
        """The maps alive at once, and what the arena takes beside them."""
        return self._waste * card.peak_activation_bytes_per_pixel


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


def load_with_sparsr(model: bytes, threads: int) -> OrtEngine:
    """A session in which libsparsr runs the network. `SparsrError` if it cannot be built or has no part there."""
    engine = OrtEngine(model, threads, library_path())
    if "sparsr" not in domains(model):
        raise SparsrError("the ONNX file has no operator of libsparsr", "use --engine ort")
    engine.name += "+sparsr"
    engine.version += f"+{digest()[:8]}"
    return engine


load = OrtEngine
