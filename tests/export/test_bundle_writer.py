from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from sparsr.export.lower.from_torch import lower
from sparsr.export.parity.stages import file_stages
from sparsr.export.passes import optimise
from sparsr.export.writers import bundle
from sparsr.export.writers.bundle import ModelFile, describe, make_card, metadata, write_bundle
from sparsr.runtime.engines.registry import ENGINES
from sparsr.runtime.model.card import CARD_NAME, ParityEntry
from sparsr.train.networks.weight_norm import add_weight_norm
from sparsr.train.run.checkpoint import card_for
from tests.small_networks import small

FILES = (
    ModelFile("onnx", "NCHW", b"an onnx file", ("Add", "Conv")),
    ModelFile("tflite", "NHWC", b"a tflite file", ("ADD",)),
)


def card(architecture="ledsr", weight_norm=False):
    network = small(architecture, 2)
    if weight_norm:
        add_weight_norm(network)
    record = card_for(network, "assl", training={"data": "T91"}, metrics={"Set5": {"psnr_y": 31.5}})
    graph, _ = optimise(lower(network, "a name"))
    return make_card(
        graph, describe(network, record), FILES, [ParityEntry("torch -> x", "random", 1e-7, 1.0, 0)]
    ), graph


def test_the_card_says_what_the_network_is():
    found, graph = card()
    # 10 channels, 3 blocks: counted by hand from the formula of the architecture.
    assert found.parameters == (27 * 10 + 10) + 7 * (9 * 100 + 10) + (9 * 10 * 12 + 12)
    assert found.gmacs_720p == pytest.approx((27 * 10 + 7 * 900 + 90 * 12) * 640 * 360 / 1e9)
    assert found.receptive_radius == 1 + 6 + 1 + 1
    assert list(found.widths.values()) == [10] * 8 + [12]
    assert (found.scale, found.method, found.value_range, found.minimum_size) == (2, "assl", 255.0, 1)
    assert found.training == {"data": "T91", "metrics": {"Set5": {"psnr_y": 31.5}}}
    # Between the block's input, the long skip, and two maps inside a block.
    assert 3 * 10 * 4 <= found.peak_activation_bytes_per_pixel <= 5 * 10 * 4
    assert found.tools["onnxruntime"]
    assert graph.name == found.name == "a name"


def test_packages_that_are_not_installed_are_not_named(monkeypatch):
    monkeypatch.setattr(bundle, "_TOOLS", ("numpy", "no-such-package"))
    assert card()[0].tools == {"numpy": np.__version__}


def test_engines_that_nobody_needs_are_tried_where_they_are_installed(monkeypatch):
    """tflite_runtime has no wheels after Python 3.11: a file is compared in those that are here."""
    missing = replace(ENGINES["tflite_runtime"], module="no_such_module")
    monkeypatch.setitem(ENGINES, "tflite_runtime", missing)
    names = [stage.engine for stage in file_stages("tflite", b"", False)]
    assert "litert" in names and "tflite_runtime" not in names


def test_scales_of_weight_normalisation_are_no_parameters():
    assert card(weight_norm=True)[0].parameters == card()[0].parameters


def test_networks_that_see_the_whole_image_say_so():
    found, graph = card("imdn")
    assert found.receptive_radius is None
    about = metadata(graph, describe(network := small("imdn", 2), card_for(network, "dense")))
    assert about["sparsr.receptive_radius"] == "whole image"
    assert about["sparsr.scale"] == "2" and about["sparsr.value_range"] == "255"


def test_files_and_card_are_written_as_described(tmp_path):
    found, _ = card()
    write_bundle(tmp_path, FILES, found)
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.tflite", CARD_NAME}
    stored = json.loads((tmp_path / CARD_NAME).read_text())
    assert stored == json.loads(json.dumps(found.to_json()))
    for entry in stored["files"]:
        content = (tmp_path / entry["name"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest() and entry["bytes"] == len(content)
    assert next(iter(stored["widths"])) == "head.0", "in the order of execution"


def test_a_failed_write_names_the_file(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError) as caught:
        write_bundle(tmp_path, FILES, card()[0])
    assert caught.value.filename == str(tmp_path / "model.onnx")
