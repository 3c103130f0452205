"""Small bundles with their model files, and an engine that misbehaves on purpose."""

import json
from pathlib import Path

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Activation, Conv, DepthToSpace
from sparsr.export.ir.reference import run as run_reference
from sparsr.export.writers.bundle import ModelFile
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite, write_tflite_stream
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import BundleCard, ParityEntry

SCALE = 2


def graph(channels: int, seed: int = 0) -> DeployGraph:
    rng = np.random.default_rng(seed)

    def conv(inputs, outputs, activation=None):
        weight = rng.normal(0, 1 / np.sqrt(9 * inputs), (outputs, inputs, 3, 3)).astype(np.float32)
        return Conv(weight, np.zeros(outputs, np.float32), 1, (1, 1, 1, 1), 1, activation)

    nodes = (
        Node("head", conv(3, channels, Activation("relu")), ("image",)),
        Node("tail", conv(channels, 3 * SCALE**2), ("head",)),
        Node("shuffle", DepthToSpace(SCALE), ("tail",)),
    )
    return DeployGraph("tiny", nodes, "shuffle", SCALE, 255.0)


def reference_output(channels: int, image):
    """[1, h, w, 3] -> [1, 2h, 2w, 3] by the exporter's plain reference."""
    return run_reference(graph(channels), image.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)


def write_tiny_bundle(
    folder: Path,
    method: str = "dense",
    channels: int = 8,
    name: str = "tiny",
    extra: tuple[ModelFile, ...] = (),
    **card,
) -> Bundle:
    folder.mkdir(parents=True)
    network = graph(channels)
    models = [
        ModelFile("onnx", "NCHW", write_onnx(network), ("CONV",)),
        ModelFile("tflite", "NHWC", write_tflite(network), ("CONV",)),
        ModelFile("tflite-sparse", "NHWC", write_tflite_stream(network), ("CONV",)),
        *extra,
    ]
    for model in models:
        (folder / model.name).write_bytes(model.content)
    fields = {
        "parameters": channels * 27 + channels * 108,
        "gmacs_720p": 0.031 * channels,
        "minimum_size": 2,
        "receptive_radius": 2,
        "training": {"metrics": {"Set5": {"psnr_y": 30.0 + channels / 100, "ssim_y": 0.9}}},
    }
    record = BundleCard(
        name=name,
        architecture="tiny",
        scale=SCALE,
        method=method,
        value_range=255.0,
        peak_activation_bytes_per_pixel=100,
        widths={"head": channels, "tail": 12},
        files=tuple(model.entry() for model in models),
        parity=(ParityEntry("torch -> graph", "random 17x23", 1e-6, 0.99995, 1),),
        **(fields | card),
    )
    (folder / "card.json").write_text(json.dumps(record.to_json()))
    return Bundle.open(folder)


FAKE_OPENVINO = """
import numpy as np
print("chatter on stdout")

class Core:
    def read_model(self, path):
        return path

    def compile_model(self, model, device, settings):
        self.model, self.settings = model, settings
        return self

    def create_infer_request(self):
        self.load()
        return self

    def load(self):
        pass

    def infer(self, inputs, **options):
        n, c, h, w = inputs[0].shape
        return {0: np.full((n, c, 2 * h, 2 * w), 77, np.float32)}
"""
"""As much of the package as the rival uses; fast, and wrong."""
