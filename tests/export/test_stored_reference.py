"""The small picture and result in every bundle, which devices check themselves by."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
import torch

from sparsr.export.exporter import export_model
from sparsr.export.lower.from_torch import lower
from sparsr.export.parity.stored import stored_reference
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.reference import DESCRIPTION, PIXELS, Reference
from sparsr.train.run.checkpoint import card_for, save
from tests.small_networks import small


def test_an_exported_bundle_stores_what_the_network_computes(tmp_path):
    network = small("ledsr", 2)
    save(tmp_path / "network.safetensors", network, card_for(network, "dense"))
    export_model(tmp_path / "network.safetensors", tmp_path / "bundle", formats=["onnx"], report=lambda line: None)
    reference = Reference.of(tmp_path / "bundle")
    assert sum(len(content) for content in reference.files().values()) <= 100_000
    x = reference.image.transpose(2, 0, 1)[None].astype(np.float32)
    with torch.no_grad():
        truth = network(torch.from_numpy(x)).numpy()
    session = onnxruntime.InferenceSession(tmp_path / "bundle/model.onnx", providers=["CPUExecutionProvider"])
    for result in (truth, session.run(None, {"image": x})[0]):
        levels = np.clip(np.rint(result[0].transpose(1, 2, 0)), 0, 255)
        assert np.abs(levels - reference.result).max() <= 1
    assert len(np.unique(reference.image)) > 100, "a picture, not a plain area"


@pytest.mark.parametrize(("architecture", "scale"), [("compact", 1), ("rfdn", 4), ("dncnn", 1), ("pan", 3)])
def test_it_is_small_at_every_scale(architecture, scale):
    graph = lower(small(architecture, scale), "it")

    def enlarged(x):
        return x.repeat(scale, 2).repeat(scale, 3)

    reference = stored_reference(graph, enlarged)
    height, width = reference.image.shape[:2]
    assert min(height, width) >= graph.minimum_size
    assert reference.result.shape == (height * scale, width * scale, 3)
    assert 48_000 <= len(reference.files()[PIXELS]) <= 96_000
    levels = np.repeat(np.repeat(reference.image, scale, 0), scale, 1)
    assert np.abs(levels.astype(int) - reference.result).max() == 0


def test_what_hangs_on_rounding_is_not_stored():
    graph = lower(small("compact", 1), "it")

    def chaos(x):
        return np.random.default_rng(int(1e6 * x.sum(dtype=np.float64))).uniform(0, graph.value_range, x.shape)

    assert stored_reference(graph, chaos) is None


@pytest.mark.parametrize(
    "sizes",
    [
        "no json",
        "[]",
        "{}",
        json.dumps({"width": 0, "height": 2, "scale": 2}),
        json.dumps({"width": 3, "height": 2, "scale": 4}),
        json.dumps({"width": 10**6, "height": 10**6, "scale": 16}),
        json.dumps({"width": "3", "height": 2, "scale": 2}),
        "[" * 100_000,
    ],
)
def test_a_damaged_one_is_refused(sizes, tmp_path):
    assert Reference.of(tmp_path) is None
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    good = Reference(pixels, pixels.repeat(2, 0).repeat(2, 1))
    for name, content in good.files().items():
        (tmp_path / name).write_bytes(content)
    read = Reference.of(tmp_path)
    assert (read.image == good.image).all() and (read.result == good.result).all()
    (tmp_path / DESCRIPTION).write_text(sizes)
    with pytest.raises(SparsrError, match="damaged"):
        Reference.of(tmp_path)
