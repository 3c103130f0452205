import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_bundles import write_tiny_bundle
from PIL import Image

from sparsr.bench.cli import main

ROOT = Path(__file__).resolve().parents[2]


def test_from_bundles_to_report(tmp_path, capsys):
    pruned, dense = tmp_path / "pruned", tmp_path / "dense"
    write_tiny_bundle(pruned, "assl", 4)
    write_tiny_bundle(dense, "dense", 8)
    out = tmp_path / "bench.json"
    options = ["--size", "20x13", "--rounds", "3", "--engines", "ort,litert"]
    assert main(["run", str(pruned), "--baseline", str(dense), *options, "--json", str(out)]) == 0
    data = json.loads(out.read_text())
    assert [(row["bundle"], row["engine"]) for row in data["rows"]] == [
        (bundle, engine) for bundle in ("pruned", "dense") for engine in ("ort", "litert")
    ]
    assert data["settings"]["width"] == 20 and data["settings"]["height"] == 13
    assert "against dense" in capsys.readouterr().out
    before, after = tmp_path / "before.png", tmp_path / "after.png"
    Image.fromarray(np.zeros((13, 20, 3), np.uint8)).save(before)
    Image.fromarray(np.zeros((26, 40, 3), np.uint8)).save(after)
    pictures = ["--before", str(before), "--after", str(after)]
    html = tmp_path / "demo/index.html"
    assert main(["report", str(out), "--bundle", str(pruned), *pictures, "-o", str(html)]) == 0
    assert html.read_text().startswith("<!DOCTYPE html>")


def test_bundles_of_one_name_are_told_apart(tmp_path):
    for parent in ("x", "y"):
        write_tiny_bundle(tmp_path / parent / "model")
    folders = [str(tmp_path / parent / "model") for parent in ("x", "y", "x")]
    out = tmp_path / "bench.json"
    assert main(["run", *folders, "--size", "8x8", "--rounds", "3", "--engines", "ort", "--json", str(out)]) == 0
    assert [info["id"] for info in json.loads(out.read_text())["bundles"]] == folders[:2]


def test_nothing_measured_is_exit_code_2_and_still_a_file(tmp_path, capsys):
    folder = tmp_path / "tiny"
    write_tiny_bundle(folder)
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    out = tmp_path / "bench.json"
    assert main(["run", str(folder), "--size", "8x8", "--engines", "ort", "--json", str(out)]) == 2
    assert "sha256" in json.loads(out.read_text())["rows"][0]["failure"]
    assert "hint:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--engines", "nonsense"], "no engine"),
        (["--engines", "ort,nativ"], "there is no engine 'nativ'\nhint: did you mean native?"),
        (["--threads", "9999"], "threads"),
        (["--baseline", "absent"], "absent does not exist"),
    ],
)
def test_wrong_use_is_exit_code_2(options, message, tmp_path, capsys):
    write_tiny_bundle(tmp_path / "tiny")
    assert main(["run", str(tmp_path / "tiny"), "--size", "8x8", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--size", "8"], ["--size", "0x8"], ["--rounds", "0"], ["--threads", "-1"]])
def test_options_that_cannot_be_read_are_exit_code_2(option):
    with pytest.raises(SystemExit) as end:
        main(["run", "bundle", *option])
    assert end.value.code == 2


def test_neither_torch_nor_an_engine_is_imported_for_the_command_line():
    heavy = [
        "torch",
        "onnx",
        "tensorflow",
        "onnxruntime",
        "ai_edge_litert",
        "tflite_runtime",
        "openvino",
        "ncnn",
        "MNN",
    ]
    blocked = f"import sys; sys.modules.update(dict.fromkeys({heavy}))"
    code = f"{blocked}; from sparsr.bench.cli import main; main(['run', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
