"""The forms a network takes on its way into a bundle, each as a function of an image: what parity compares."""

from __future__ import annotations

import copy
import importlib

import numpy as np
import onnx
import onnxruntime
import onnxsim
import torch

from runtime.errors import CheckFailedError
from runtime.layers import FloatArray
from train.networks import SRNetwork

from . import reference
from .graph import DeployGraph
from .parity import Run, Stage

_QUIET = 3  # errors only


def torch_run(network: SRNetwork, value_range: float) -> Run:
    """The network itself on the CPU in float32, for images in 0..`value_range` whatever range it was trained in."""
    plain = copy.deepcopy(network).cpu().float().eval()
    factor = plain.value_range / value_range

    def run(image: FloatArray) -> FloatArray:
        with torch.inference_mode():
            result = plain(torch.from_numpy(image) * factor) / factor
        return np.asarray(result.numpy(), np.float32)

    return run


def graph_stages(lowered: DeployGraph, optimised: DeployGraph) -> list[Stage]:
    """The DeployGraph before and after its passes, on the reference executor."""
    return [
        Stage("graph", lambda: lambda image: reference.run(lowered, image), slow=True),
        Stage("optimised graph", lambda: lambda image: reference.run(optimised, image), slow=True),
    ]


def onnx_stages(model: bytes) -> list[Stage]:
    """The ONNX file in ONNX Runtime, as it is and simplified by onnxsim."""
    return [
        Stage("onnx (onnxruntime)", lambda: _onnx_run(model)),
        Stage("onnx (onnxsim, onnxruntime)", lambda: _onnx_run(_simplified(model))),
    ]


def _simplified(model: bytes) -> bytes:
    simplified, valid = onnxsim.simplify(onnx.load_from_string(model))
    if not valid:
        raise CheckFailedError("onnxsim's simplified model computes something else than the ONNX file")
    return bytes(simplified.SerializeToString())


def _onnx_run(model: bytes) -> Run:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: np.asarray(session.run(None, {name: image})[0])


def tflite_stages(model: bytes) -> list[Stage]:
    """The TFLite file in both of its runtimes, which can share a process (only tensorflow can't be with them)."""
    return [
        Stage("tflite (tflite_runtime)", lambda: _tflite_run("tflite_runtime.interpreter", model)),
        Stage("tflite (ai_edge_litert)", lambda: _tflite_run("ai_edge_litert.interpreter", model)),
    ]


def _tflite_run(module: str, model: bytes) -> Run:
    interpreter = importlib.import_module(module).Interpreter(model_content=model)
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(image: FloatArray) -> FloatArray:
        pixels = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        interpreter.resize_tensor_input(source, pixels.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, pixels)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target).transpose(0, 3, 1, 2))

    return run
