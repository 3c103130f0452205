"""OpenVINO, the CPU plugin, in single precision and in the lower ones it is fastest in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from sparsr.bench.measure.engines import Precision, Run
from sparsr.runtime.samples import FloatArray

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
_CALIBRATION = (4, 3, 64, 64)
"""Random images that int8 ranges are taken from: enough for speed, not for quality."""


def load(model: Path, threads: int, precision: Precision = "float32") -> Run:
    """A compiled `model.onnx`: float32 NCHW in and out whatever it computes in."""
    import openvino

    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        if precision == "int8":
            model = _quantised(model, Path(folder) / "int8.onnx")
        network = core.read_model(model)
    compiled = core.compile_model(
        network,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],  # otherwise bf16 where the CPU has it
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the worker is pinned already
        },
    )
    request = compiled.create_infer_request()

    def run(image: FloatArray) -> FloatArray:
        return request.infer({0: image}, share_inputs=True, share_outputs=True)[0]

    return run


def _quantised(model: Path, target: Path) -> Path:
    """The network with 8-bit weights (per channel) and activations, as quantise-dequantise pairs."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Noise(CalibrationDataReader):
        def __init__(self) -> None:
            images = np.random.default_rng(0).uniform(0, 255, _CALIBRATION).astype(np.float32)
            self.rest = [{"image": image[None]} for image in images]

        def get_next(self) -> dict[str, FloatArray] | None:
            return self.rest.pop() if self.rest else None

    quantize_static(
        model,
        target,
        Noise(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return target
