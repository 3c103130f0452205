"""The forms a network takes on its way into a bundle, each as a function of an image: what parity compares."""

from __future__ import annotations

import copy
import functools

import numpy as np
import onnx
import onnxsim
import torch
from torch.nn import functional

from sparsr.export.ir import reference
from sparsr.export.ir.graph import DeployGraph
from sparsr.export.lower.onnx_probe import session
from sparsr.export.lower.ranges import LUMA, VALUE_RANGE
from sparsr.export.lower.size_rule import SizeRule
from sparsr.export.parity.certificate import MAX_ABS, Run, Stage, random_pixels
from sparsr.export.writers.onnx import write_onnx
from sparsr.runtime.engines.registry import ENGINES, load_engine
from sparsr.runtime.errors import CheckFailedError
from sparsr.runtime.model.card import ModelFormat
from sparsr.runtime.samples import FloatArray
from sparsr.train.networks import SRNetwork


def torch_run(network: SRNetwork, value_range: float) -> Run:
    """The network itself on the CPU in float32, for images in 0..`value_range` whatever range it was trained in."""
    plain = copy.deepcopy(network).cpu().float().eval()
    factor = plain.value_range / value_range

    def run(image: FloatArray) -> FloatArray:
        with torch.inference_mode():
            result = plain(torch.from_numpy(image) * factor) / factor
        return np.asarray(result.numpy(), np.float32)

    return run


def onnx_run(model: bytes, graph: DeployGraph, value_range: float, rule: SizeRule) -> Run:
    """A user's ONNX model in ONNX Runtime, for RGB images in 0..255; `value_range` is the model's own.

    A model for luma runs on Y as torch and torch's bicubic enlargement of the colours make it of RGB. Images are grown
    as `rule` says, and of the result their place is kept.
    """
    loaded, factor = session(model), np.float32(value_range / VALUE_RANGE)

    def run(image: FloatArray) -> FloatArray:
        (result,) = loaded.run(None, {loaded.get_inputs()[0].name: rule.grown(image) * factor})
        return np.asarray(rule.kept(result, image.shape[2:]) / factor, np.float32)

    def run_on_luma(image: FloatArray) -> FloatArray:
        luma = np.einsum("c,nchw->nhw", LUMA, image.astype(np.float64))[:, None]
        colours = torch.from_numpy(image - luma)
        if graph.scale > 1:
            colours = functional.interpolate(colours, scale_factor=graph.scale, mode="bicubic")
        return np.asarray(run(luma.astype(np.float32)) + colours.numpy(), np.float32)

    return run_on_luma if graph.input_channels == 1 else run


def onnx_run_of_one_size(run: Run, graph: DeployGraph, size: tuple[int, int], source: str) -> Run:
    """What stands for a model that takes images of one size: its graph, written as ONNX, in ONNX Runtime.

    Raises `CheckFailedError` if that differs from what the model itself, which `run` runs, gives of an image of
    `size`, grown to the only one it takes.
    """
    loaded = session(write_onnx(graph))

    def any_size(image: FloatArray) -> FloatArray:
        (result,) = loaded.run(None, {loaded.get_inputs()[0].name: image})
        return np.asarray(result, np.float32)

    pixels = random_pixels(np.random.default_rng(0), *size)
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    difference = float(np.abs(any_size(image) - run(image)).max()) / VALUE_RANGE
    if not difference <= MAX_ABS:
        raise CheckFailedError(f"{source}: its graph differs from it by {difference:.1e} of the range at {size}")
    return any_size


def graph_stages(lowered: DeployGraph, optimised: DeployGraph) -> list[Stage]:
    """The DeployGraph before and after its passes, on the reference executor."""
    return [
        Stage("graph", lambda: lambda image: reference.run(lowered, image), slow=True),
        Stage("optimised graph", lambda: lambda image: reference.run(optimised, image), slow=True),
    ]


def file_stages(kind: ModelFormat, model: bytes, with_sparsr: bool) -> list[Stage]:
    """A model file in every engine of the runtime that takes its format; they can share this process.

    Optional engines are left out where they are not installed. TensorFlow comes last: what is imported before it
    stays whole.

    with_sparsr: also in those that need libsparsr.
    """
    engines = [
        engine
        for engine in ENGINES.values()
        if engine.format == kind and engine.needs_sparsr <= with_sparsr and (engine.installed or not engine.optional)
    ]
    stages = [
        Stage(
            f"{kind} ({engine.name})",
            functools.partial(_engine_run, engine.name, kind, model),
            optional=engine.optional,
            engine=engine.name,
        )
        for engine in engines
    ]
    if kind == "onnx":
        stages.append(Stage("onnx (onnxsim, ort)", lambda: _engine_run("ort", kind, simplified(model))))
    return stages


def simplified(model: bytes) -> bytes:
    """What onnxsim makes of an ONNX file; raises `CheckFailedError` if it finds its own result to differ."""
    result, valid = onnxsim.simplify(onnx.load_from_string(model))
    if not valid:
        raise CheckFailedError("onnxsim's simplified model computes something else than the ONNX file")
    return bytes(result.SerializeToString())


def _engine_run(name: str, kind: ModelFormat, model: bytes) -> Run:
    engine = load_engine(name, model)
    if kind == "onnx":
        return engine.run
    return lambda image: engine.run(np.ascontiguousarray(image.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
