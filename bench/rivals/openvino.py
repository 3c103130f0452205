"""OpenVINO, the CPU plugin."""

from __future__ import annotations

from pathlib import Path

from ..engines import FloatArray, Run


def load(model: Path, threads: int) -> Run:
    """A compiled `model.onnx`: float32 NCHW in and out."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",  # otherwise bf16 where the CPU has it
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
