from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import ai_edge_litert.interpreter
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from sparsr.export import cli as cli
from sparsr.export import exporter
from sparsr.export.parity import certificate as parity
from sparsr.runtime.engines.native import build as builder
from sparsr.runtime.engines.registry import ENGINES
from sparsr.runtime.errors import CheckFailedError, SparsrError
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import CARD_NAME
from sparsr.train.importers.models import load_model
from sparsr.train.networks import build
from sparsr.train.pruning.slimming import slim
from tests.export.exporting import export, store
from tests.small_networks import EVERY_NETWORK, disturb, image, random_kept, small

REFERENCE = ("reference.json", "reference.rgb")

pytestmark = pytest.mark.usefixtures("small_images")


def onnx_run(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["upscaled"], {"image": pixels})[0]


def tflite_run(path):
    call = ai_edge_litert.interpreter.Interpreter(str(path)).get_signature_runner("serving_default")
    return lambda pixels: call(image=pixels.transpose(0, 2, 3, 1).copy())["upscaled"].transpose(0, 3, 1, 2)


def check_bundle(bundle, network, sizes=((1, 1), (13, 8), (17, 31))):
    """Both files against the torch network, at several sizes from one file, by an engine each."""
    factor = 255 / network.value_range
    for run in (onnx_run(bundle / "model.onnx"), tflite_run(bundle / "model.tflite")):
        for height, width in sizes:
            x = image(network, height, width)
            with torch.no_grad():
                expected = network(x.clone()).numpy() * factor
            np.testing.assert_allclose(
                run(x.numpy() * np.float32(factor)), expected, rtol=0, atol=1e-5 * max(255, np.abs(expected).max())
            )


NOT_IN_TFLITE = [("rrdb", 1), ("rrdb", 2)]  # they pad odd sizes in a way it cannot express
CASES = [(name, scale, True) for name, scale in EVERY_NETWORK if (name, scale) not in NOT_IN_TFLITE] + [
    (*case, False) for case in dict(EVERY_NETWORK).items()
]


@pytest.mark.parametrize(("architecture", "scale", "slimmed"), CASES)
def test_every_network_exports_and_its_files_compute_the_same(tmp_path, architecture, scale, slimmed):
    network = small(architecture, scale)
    if slimmed:
        network = slim(network, random_kept(network, 5))
    model = store(network, tmp_path / "model.safetensors")
    card = exporter.export_model(model, tmp_path / "bundle", report=lambda line: None)
    check_bundle(tmp_path / "bundle", network)
    optional = {f"torch -> {kind.format} ({name})" for name, kind in ENGINES.items() if kind.optional}
    hops = {entry.hop for entry in card.parity} - optional
    assert hops == {f"torch -> {stage}" for stage in STAGES}
    assert max(entry.max_abs for entry in card.parity) <= 1e-4
    assert (card.scale, card.architecture, card.minimum_size) == (scale, architecture, network.minimum_size)


@pytest.mark.parametrize(("architecture", "scale"), NOT_IN_TFLITE)
def test_what_tflite_cannot_express_is_said_and_the_rest_is_written(tmp_path, architecture, scale):
    model = store(small(architecture, scale), tmp_path / "model.safetensors")
    with pytest.raises(SparsrError, match="TFLite takes PadToEven only"):
        exporter.export_model(model, tmp_path / "bundle", formats=("tflite",), report=lambda line: None)
    lines = []
    card = exporter.export_model(model, tmp_path / "bundle", report=lines.append)
    assert [file.format for file in card.files] == ["onnx", "native", "tflite-sparse"]
    assert any("no tflite file: " in line and "TFLite takes PadToEven only" in line for line in lines)
    assert max(entry.max_abs for entry in card.parity) <= 1e-4


STAGES = (
    "graph",
    "optimised graph",
    "onnx (ort)",
    "onnx (ort+sparsr)",
    "onnx (onnxsim, ort)",
    "tflite (litert)",
    "tflite-sparse (litert+sparsr)",
    "native (native)",
)


def test_the_command_writes_a_bundle_and_says_what_it_did(tmp_path, checkpoint, capsys):
    picture = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)).save(picture)
    out = tmp_path / "bundle"
    code, stdout, stderr = export(checkpoint, "--out", out, "--verify", picture, capsys=capsys)
    assert (code, [line for line in stderr.splitlines() if "INFO" not in line]) == (0, [])
    assert {path.name for path in out.iterdir()} == {
        "model.onnx",
        "model.tflite",
        "model.sparse.tflite",
        "model.safetensors",
        *REFERENCE,
        CARD_NAME,
    }
    for stage in STAGES:
        assert f"torch -> {stage}" in stdout
    assert "model.sparse.tflite" in stdout.splitlines()[-2] and "8-bit equal" in stdout
    card = json.loads((out / CARD_NAME).read_text())
    assert card["name"] == checkpoint.parent.name and card["training"] == {"data": "T91"}
    assert any("photo.png" in entry["image"] for entry in card["parity"])
    check_bundle(out, load_model(checkpoint)[0])


def test_exporting_again_gives_the_same_bytes(tmp_path, checkpoint):
    folders = [tmp_path / "first", tmp_path / "elsewhere" / "second"]
    for folder in folders:
        exporter.export_model(checkpoint, folder, report=lambda line: None)
    for file in ("model.onnx", "model.tflite", "model.sparse.tflite", CARD_NAME):
        first, second = ((folder / file).read_bytes() for folder in folders)
        assert first == second


def test_single_formats_and_names(tmp_path, checkpoint, capsys):
    out = tmp_path / "bundle"
    assert export(checkpoint, "--out", out, "--format", "tflite", "--name", "mine", capsys=capsys)[0] == 0
    assert {path.name for path in out.iterdir()} == {"model.tflite", "model.sparse.tflite", *REFERENCE, CARD_NAME}
    assert json.loads((out / CARD_NAME).read_text())["name"] == "mine"
    # A bundle may take the place of a bundle.
    assert export(checkpoint, "--out", out, "--format", "onnx", capsys=capsys)[0] == 0
    assert {path.name for path in out.iterdir()} == {"model.onnx", *REFERENCE, CARD_NAME}


def test_without_a_compiler_the_certificate_leaves_libsparsr_out_and_says_so(tmp_path, checkpoint, monkeypatch, capsys):
    monkeypatch.delenv(builder.PREBUILT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    code, stdout, _ = export(checkpoint, "--out", tmp_path / "bundle", capsys=capsys)
    assert code == 0
    assert "not checked with libsparsr: the native engine is not built" in stdout
    assert "ort)" in stdout and "+sparsr" not in stdout


def test_checkpoints_called_best_are_named_by_their_folder(tmp_path):
    folder = tmp_path / "assl_x2"
    folder.mkdir()
    model = store(small("ledsr", 2), folder / "best.safetensors")
    assert exporter.export_model(model, tmp_path / "b", formats=["onnx"], report=lambda line: None).name == "assl_x2"


def test_list_names_everything(capsys):
    code, stdout, _ = export("list", capsys=capsys)
    assert code == 0
    for word in ("ledsr", "carn_m", "x4", "safetensors", "IMDN", "onnx", "tflite"):
        assert word in stdout


@pytest.fixture()
def corrupted(monkeypatch):
    """An ONNX writer that gets one weight slightly wrong."""

    def write(graph, about):
        node = graph.node("head.0")
        weight = node.layer.weight.copy()
        weight[0, 0, 1, 1] += 1.0
        wrong = replace(node, layer=replace(node.layer, weight=weight))
        return right.write(graph.with_nodes([wrong if n.name == node.name else n for n in graph.nodes]), about)

    right = exporter.FORMATS["onnx"]
    monkeypatch.setitem(exporter.FORMATS, "onnx", replace(right, write=write))


def test_a_failing_engine_costs_its_file_by_name(tmp_path, checkpoint, corrupted, capsys):
    code, stdout, _ = export(checkpoint, "--out", tmp_path / "bundle", capsys=capsys)
    assert code == 0
    assert "model.onnx is left out: parity failed at torch -> onnx (ort)" in stdout
    card = json.loads((tmp_path / "bundle/card.json").read_text())
    assert {file["format"] for file in card["files"]} == {"tflite", "tflite-sparse", "native"}
    assert not (tmp_path / "bundle/model.onnx").exists()
    assert not any("onnx" in entry["hop"] for entry in card["parity"])


def test_without_a_file_that_passes_nothing_is_left(tmp_path, checkpoint, corrupted, capsys):
    code, stdout, stderr = export(checkpoint, "--out", tmp_path / "bundle", "--format", "onnx", capsys=capsys)
    assert code == 1
    assert "no bundle was written: parity failed at torch -> onnx (ort)" in stderr and "hint:" in stderr
    assert "torch -> onnx (ort+sparsr)" in stdout, "the table shows every hop"
    assert [path.name for path in tmp_path.iterdir() if path.suffix not in (".safetensors", ".json")] == []


def test_a_failed_export_keeps_the_bundle_that_was_there(tmp_path, checkpoint, request):
    out = tmp_path / "bundle"
    exporter.export_model(checkpoint, out, report=lambda line: None)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    request.getfixturevalue("corrupted")
    with pytest.raises(CheckFailedError):
        exporter.export_model(checkpoint, out, formats=["onnx"], report=lambda line: None)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_it_runs_as_a_module(tmp_path):
    command = [sys.executable, "-m", "export", str(tmp_path / "none.pth"), "--out", str(tmp_path / "b")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stdout.count("\n") <= 1


OFFICIAL = [
    ("IMDN_x2.pth", 2, "IMDN_x2", "Set5/LR_bicubic/X2"),
    ("IMDN_x4.pth", 4, "IMDN_x4", "Set5/LR_bicubic/X4"),
    ("CARN_M_x234.pth", 3, "CARNM_x3", "Set5/LR_bicubic/X3"),
    ("RFDN_AIM_x4.pth", 4, "RFDN_x4", "Set14/LR_bicubic/X4"),
]


@pytest.mark.parametrize(("file", "scale", "output", "pictures"), OFFICIAL)
def test_official_checkpoints_export(tmp_path, shared_data, monkeypatch, file, scale, output, pictures):
    """The bundle's files give what the authors' own code gave on a crop of a real image."""
    monkeypatch.setattr(parity, "_ENGINE_VALUES", 1e5)  # real weights: enough values to count the differing ones
    picture = sorted((shared_data / "benchmarks" / pictures).glob("*.png"))[2]
    bundle = tmp_path / "bundle"
    card = exporter.export_model(
        shared_data / "checkpoints" / file, bundle, scale=scale, verify=[picture], report=lambda line: None
    )
    assert card.scale == scale and card.method == "imported"
    assert any(picture.name in entry.image for entry in card.parity)
    crop = np.load(shared_data / "reference_outputs" / f"{output}_c32.npz")
    pixels = crop["c32_lr"].astype(np.float32).transpose(2, 0, 1)[None]
    for run in (onnx_run(bundle / "model.onnx"), tflite_run(bundle / "model.tflite")):
        result = run(pixels)[0].transpose(1, 2, 0)
        np.testing.assert_allclose(result, crop["c32_sr"], rtol=0, atol=255e-5)


def test_sparsity_prunes_on_the_way(tmp_path, capsys):
    network = disturb(build("edsr", 2, channels=32, blocks=1))
    model = store(network, tmp_path / "dense.safetensors")
    code, out, _ = export(
        model, "--out", tmp_path / "b", "--sparsity", "4:32,tail.*=dense", "--format", "onnx,native", capsys=capsys
    )
    assert code == 0
    assert "4:32 in 3 layers" in out
    card = Bundle.open(tmp_path / "b").card
    assert card.method == "one-shot 4:32"
    convs = {n: m for n, m in network.named_modules() if isinstance(m, torch.nn.Conv2d) and m.in_channels >= 3}
    area = {name: 4 if name == "tail.1" else 1 for name in convs}
    work = {n: m.weight.numel() * area[n] for n, m in convs.items() if m.kernel_size == (3, 3)}
    sparse = sum(macs / 8 if name.startswith("body") else macs for name, macs in work.items())
    assert card.nonzero == pytest.approx(sparse / sum(work.values()), rel=1e-5)
    assert f"{card.gmacs_720p * card.nonzero:.2f} of" in out


@pytest.mark.parametrize("text", ["4:33", "4:32,body.0", "4:32,x.*=2:32", "body.0=4:32"])
def test_an_impossible_sparsity_leaves_no_bundle(text, checkpoint, tmp_path, capsys):
    code, _, error = export(checkpoint, "--out", tmp_path / "b", "--sparsity", text, capsys=capsys)
    assert code == 2
    assert "hint:" in error
    assert not (tmp_path / "b").exists()


def test_a_sparsity_that_is_none_is_told_before_anything_is_read(tmp_path, capsys):
    code, _, error = export(tmp_path / "missing.pth", "--out", tmp_path / "b", "--sparsity", "foo", capsys=capsys)
    assert code == 2 and "'foo' is not a sparsity" in error
