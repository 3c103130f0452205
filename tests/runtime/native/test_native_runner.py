"""The engine without Python: from PPM to PPM, in little memory."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from sparsr.export.ir import layers as L
from sparsr.export.ir.receptive import receptive_radius
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native import build as builder
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.train.networks import build
from tests.export import graphs
from tests.runtime.native.native_models import keep_largest


@pytest.fixture(scope="module")
def runner():
    path = builder.library_path().parent / builder.RUNNER
    if not path.is_file():
        pytest.skip("the library in use was built without its runner")
    return path


def write_ppm(path, pixels):
    path.write_bytes(b"P6\n%d %d\n255\n" % pixels.shape[1::-1] + pixels.tobytes())


def read_ppm(path, height, width):
    header = b"P6\n%d %d\n255\n" % (width, height)
    content = path.read_bytes()
    assert content.startswith(header)
    return np.frombuffer(content[len(header) :], np.uint8).reshape(height, width, 3)


def run(runner, folder, *options):
    command = [runner, *(folder / name for name in ("model", "in.ppm", "out.ppm")), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def sparse_edsr(blocks, channels, n, m):
    """EDSR x4 with n of m random weights in its wide layers."""
    rng = np.random.default_rng(0)

    def conv(outputs, activation=None):
        layer = graphs.conv(rng, channels, outputs, activation=activation)
        return replace(layer, weight=keep_largest(layer.weight, n, m))

    entries = [("head", graphs.conv(rng, 3, channels), ["image"])]
    last = "head"
    for block in range(blocks):
        names = [f"{block}.{part}" for part in ("first", "second", "sum")]
        entries += [(names[0], conv(channels, graphs.RELU), [last]), (names[1], conv(channels), [names[0]])]
        entries.append((names[2], L.Add(), [names[1], last]))
        last = names[2]
    entries += [("body", conv(channels), [last]), ("skip", L.Add(), ["body", "head"])]
    tail = [conv(4 * channels), L.DepthToSpace(2), conv(4 * channels), L.DepthToSpace(2), graphs.conv(rng, channels, 3)]
    return graphs.chain("edsr", *entries, *tail, scale=4, value_range=255.0)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_same_bytes_as_in_python(runner, tmp_path, threads):
    content = write_native(graphs.small_network(value_range=255.0), {})
    pixels = np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)
    (tmp_path / "model").write_bytes(content)
    write_ppm(tmp_path / "in.ppm", pixels)
    result = run(runner, tmp_path, "--threads", threads, "--repeat", "3")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["width"], report["height"], report["plan"]["threads"]) == (42, 26, int(threads))
    expected = np.zeros((26, 42, 3), np.uint8)
    NativeModel(content).run(pixels, expected)
    assert np.array_equal(read_ppm(tmp_path / "out.ppm", 26, 42), expected)


def test_a_picture_that_takes_more_than_16_megabytes_is_computed_in_columns(runner, tmp_path):
    graph = graphs.small_network(value_range=255.0)
    content = write_native(graph, {"sparsr.receptive_radius": str(receptive_radius(graph))})
    (tmp_path / "model").write_bytes(content)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30_000, 3), np.uint8)
    write_ppm(tmp_path / "in.ppm", pixels)
    results, reports = [], []
    for options in ([], ["--max-memory", "16"]):
        done = run(runner, tmp_path, *options)
        assert done.returncode == 0, done.stderr
        results.append(read_ppm(tmp_path / "out.ppm", 80, 60_000).astype(int))
        reports.append(json.loads(done.stdout))
    assert np.abs(results[0] - results[1]).max() <= 1
    assert (results[0] != results[1]).mean() < 1e-4
    assert reports[0]["resident_bytes"] > 16 << 20 >= reports[1]["resident_bytes"]
    assert "MiB at least" in run(runner, tmp_path, "--max-memory", "1").stderr
    (tmp_path / "model").write_bytes(write_native(graph, {}))
    assert "depends on the whole picture" in run(runner, tmp_path, "--max-memory", "16").stderr


DAMAGED = [
    *(b"", b"P6", b"P6\n0 0\n255\n", b"P6\n2 2\n255", b"P5\n2 2\n255\n1234", b"P6\n2 2\n65535\n"),
    *(b"P6\n2 2\n255\n12345678901", b"P6\n9999999 1\n\n"),
]


def assert_refused(runner, folder, *options):
    result = run(runner, folder, *options)
    assert result.returncode == 1
    assert result.stderr.startswith("sparsr_run: ")
    assert len(result.stderr.splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["in.ppm", "model"]


@pytest.fixture
def prepared(tmp_path):
    """A folder with a model and a picture for it."""
    (tmp_path / "model").write_bytes(write_native(graphs.small_network(value_range=255.0), {}))
    write_ppm(tmp_path / "in.ppm", np.zeros((2, 2, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize("picture", DAMAGED)
def test_damaged_pictures_are_refused_and_nothing_is_written(runner, prepared, picture):
    (prepared / "in.ppm").write_bytes(picture)
    assert_refused(runner, prepared)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.99])
def test_models_cut_off_are_refused_and_nothing_is_written(runner, prepared, part):
    content = (prepared / "model").read_bytes()
    (prepared / "model").write_bytes(content[: int(part * len(content))])
    assert_refused(runner, prepared)


SIZES = ["--size", "--size 2", "--size 0x2", "--size 2x-2", "--size 3x3", "--size 1048576x1048576"]


@pytest.mark.parametrize("arguments", [*SIZES, "--isa sse9", "--threads 0", "--repeat 1x", "--quietly yes"])
def test_wrong_arguments_are_refused_and_nothing_is_written(runner, prepared, arguments):
    assert_refused(runner, prepared, *arguments.split())


def test_edsr_at_2_of_32_to_1280x720_takes_37_megabytes_at_most(runner, tmp_path):
    (tmp_path / "model").write_bytes(write_native(sparse_edsr(16, 64, 2, 32), {}))
    write_ppm(tmp_path / "in.ppm", np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8))
    result = run(runner, tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["resident_bytes"] <= 37 << 20


def test_smsr_x2_of_320x180_takes_86_megabytes_at_most(runner, tmp_path):
    torch.manual_seed(0)
    graph, _ = optimise(lower(build("smsr", 2).eval(), "smsr"))
    (tmp_path / "model").write_bytes(write_native(graph, {}))
    write_ppm(tmp_path / "in.ppm", np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8))
    result = run(runner, tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["resident_bytes"] <= 86 << 20
