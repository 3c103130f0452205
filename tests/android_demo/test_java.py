"""The app's Java logic by its own JUnit tests, and on the engine of this machine through its native methods."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess

import java
import numpy as np
import pytest
from PIL import Image

from sparsr.bench.measure import results
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native import build as builder
from tests.export import graphs

WIDTH, HEIGHT = 21, 13

JUNIT = sorted((java.APP / "core" / "src").rglob("*Test.java"))


@pytest.mark.parametrize("path", JUNIT, ids=lambda path: path.stem)
def test_junit(path):
    name = ".".join(path.with_suffix("").parts[path.parts.index("java") + 1 :])
    result = java.run("org.junit.runner.JUnitCore", name)
    assert result.returncode == 0, result.stdout
    assert re.search(r"OK \([1-9]\d* tests?\)", result.stdout)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a model, a picture for it as bare values and as PPM, and what sparsr_run makes of it."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "model").write_bytes(write_native(graphs.small_network(value_range=255.0), {}))
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    (folder / "image").write_bytes(pixels.tobytes())
    (folder / "in.ppm").write_bytes(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + pixels.tobytes())
    (folder / "empty").mkdir()
    runner = builder.library_path().parent / builder.RUNNER
    if not runner.is_file():
        pytest.skip("the library in use was built without its runner")
    command = [runner, *(folder / name for name in ("model", "in.ppm", "out.ppm"))]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder


def expected(folder):
    """The bare values of what sparsr_run wrote."""
    return (folder / "out.ppm").read_bytes().split(b"255\n", 1)[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_through_java_are_those_of_the_runner(prepared, tmp_path, threads):
    arguments = (prepared / "model", prepared / "image", WIDTH, HEIGHT, tmp_path / "out", threads)
    result = java.run("dev.sparsr.demo.Host", "rows", *arguments, library=java.host_library())
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out").read_bytes() == expected(prepared)


def test_pictures_are_those_of_the_runner(prepared, tmp_path):
    for kind, most in (("PNG", 0), ("JPEG", 16)):
        arguments = (prepared / "model", prepared / "image", WIDTH, HEIGHT, tmp_path / kind, kind)
        result = java.run("dev.sparsr.demo.Host", "picture", *arguments, library=java.host_library())
        assert result.stdout == "true 1.0\n", result.stderr
        picture = np.asarray(Image.open(tmp_path / kind))
        wanted = np.frombuffer(expected(prepared), np.uint8).reshape(picture.shape)
        assert np.percentile(np.abs(picture.astype(int) - wanted), 99) <= most
    assert sorted(path.name for path in tmp_path.iterdir()) == ["JPEG", "PNG"]


def test_cancel_exceptions_and_wrong_arguments(prepared):
    arguments = (prepared / "model", prepared / "image", WIDTH, HEIGHT, prepared / "empty")
    result = java.run("dev.sparsr.demo.Host", "selftest", *arguments, library=java.host_library())
    assert result.stdout == "fine\n", result.stderr
    assert "WARNING" not in result.stdout + result.stderr  # of -Xcheck:jni


def test_a_missing_library_is_said_in_plain_words(prepared, tmp_path):
    arguments = (prepared / "model", prepared / "image", WIDTH, HEIGHT, tmp_path / "out", 1)
    result = java.run("dev.sparsr.demo.Host", "rows", *arguments, library=tmp_path / "nothing.so")
    assert result.returncode == 1
    assert result.stderr.startswith("The native engine is not available on this device")


def bundle(folder, name, method, graph, damage_reference=0):
    """A bundle as the app reads it, with a reference."""
    path = folder / name
    path.mkdir()
    content = write_native(graph, {})
    (path / "model.safetensors").write_bytes(content)
    pixels = np.random.default_rng(1).integers(0, 256, (9, 11, 3), np.uint8)
    (path / "in.ppm").write_bytes(b"P6\n11 9\n255\n" + pixels.tobytes())
    runner = builder.library_path().parent / builder.RUNNER
    subprocess.run(
        [runner, path / "model.safetensors", path / "in.ppm", path / "out.ppm"], check=True, capture_output=True
    )
    result = bytearray((path / "out.ppm").read_bytes().split(b"255\n", 1)[1])
    result[0] ^= damage_reference
    (path / "reference.json").write_text(json.dumps({"width": 11, "height": 9, "scale": 2}))
    (path / "reference.rgb").write_bytes(pixels.tobytes() + result)
    file = {
        "name": "model.safetensors",
        "format": "native",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    metrics = {"Set5": {"psnr_y": 37.5, "ssim_y": 0.95}, "note": "text"}
    card = {
        "schema": "sparsr-bundle/1", "name": name, "architecture": "small", "scale": 2, "method": method,
        "value_range": 255.0, "minimum_size": 1, "parameters": 1000, "gmacs_720p": 1.5, "files": [file],
        "training": {"metrics": metrics},
    }  # fmt: skip
    (path / "card.json").write_text(json.dumps(card))
    return path


def test_the_measurement_is_read_by_bench(tmp_path):
    graph = graphs.small_network(value_range=255.0)
    pruned, dense = (
        bundle(tmp_path, "pruned", "sls", graph),
        bundle(tmp_path, "dense", "dense", graph, damage_reference=64),
    )
    out = tmp_path / "result.json"
    result = java.run("dev.sparsr.demo.Host", "bench", out, 32, 24, 1, 7, 2, pruned, dense, library=java.host_library())
    assert result.returncode == 0, result.stderr
    measured = results.load(out)
    assert (measured.settings.width, measured.settings.rounds, measured.settings.basis) == (32, 7, "cpu")
    assert [info.counterpart for info in measured.bundles] == ["dense", "dense"]
    assert measured.bundles[0].quality == {"Set5": {"psnr_y": 37.5, "ssim_y": 0.95}}
    rows = {row.bundle: row for row in measured.rows}
    assert rows["pruned"].difference.max_8bit == 0
    assert rows["dense"].difference.max_8bit == 64  # its stored reference is a wrong one
    assert rows["pruned"].correct and not rows["dense"].correct
    assert rows["pruned"].opponent is None  # an engine that computes something else is no opponent
    assert len(rows["pruned"].cpu_samples) == len(rows["pruned"].wall_samples) == 7
    assert rows["pruned"].wall.median == pytest.approx(np.median(rows["pruned"].wall_samples))
    assert measured.machine.name == "a desktop"
    extra = json.loads(out.read_text())
    assert extra["source"] == "measured"
    assert extra["device"]["before"]["battery_percent"] == 80
    assert [point["at"] for point in extra["sustained"]] == sorted(point["at"] for point in extra["sustained"])
    assert len(extra["sustained"]) == 2


def test_the_dense_twin_is_the_opponent_and_failures_are_rows(tmp_path):
    graph = graphs.small_network(value_range=255.0)
    pruned, dense = bundle(tmp_path, "pruned", "sls", graph), bundle(tmp_path, "dense", "dense", graph)
    broken = bundle(tmp_path, "broken", "sls", graph)
    content = bytearray((broken / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (broken / "model.safetensors").write_bytes(content)
    out = tmp_path / "result.json"
    arguments = ("bench", out, 24, 24, 2, 3, 0, pruned, dense, broken)
    result = java.run("dev.sparsr.demo.Host", *arguments, library=java.host_library())
    assert result.returncode == 0, result.stderr
    rows = {row.bundle: row for row in results.load(out).rows}
    assert rows["pruned"].opponent.bundle == "dense"
    ratios = np.divide(rows["dense"].wall_samples, rows["pruned"].wall_samples)
    assert rows["pruned"].opponent.ratio.median == pytest.approx(np.median(ratios))
    assert "SHA-256 differs" in rows["broken"].failure
    assert rows["broken"].wall is None
