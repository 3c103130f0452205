"""What cannot be seen on this processor: the work an arm64 processor executes, and its memory, to the byte."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import arm64
import numpy as np
import pytest

from sparsr.bench import targets
from sparsr.export.ir import reference
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from tests.export import graphs
from tests.runtime.native.native_models import keep_largest, kernels_of, share_places
from tests.small_networks import small

COUNTER = Path(targets.__file__).with_name("executed.c")
CHANNELS, HEIGHT, WIDTH = 64, 24, 64


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """Options of the emulator that make it count."""
    arm64.runner()
    version = subprocess.run([arm64.EMULATOR[0], "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version.split()[2].split(".")[0])
    if major > 8 or not shutil.which("gcc"):
        pytest.skip("needs gcc and QEMU 8 or older, whose plugins need no header")
    plugin = tmp_path_factory.mktemp("counter") / "executed.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", COUNTER, "-o", plugin], check=True)
    return ("-plugin", str(plugin))


def executed(counter, graph, instruction_set="neon", tolerance=1e-4, image=None):
    """Instructions and multiply-adds of a run on an image of HEIGHT x WIDTH, loading left out; and the kernels."""
    counts = []
    image = graphs.random_image(graph, HEIGHT, WIDTH) if image is None else image
    for repeat in (1, 2):
        model = arm64.EmulatedModel(write_native(graph, {}), instruction_set, repeat=repeat, emulator=counter)
        assert np.allclose(model.run(image), reference.run(graph, image), atol=tolerance)
        counts.append(json.loads(model.errors))
    return {name: counts[1][name] - counts[0][name] for name in counts[0]}, kernels_of(model)


def trunk(n):
    """A convolution to CHANNELS, one of CHANNELS with n of every 32 weights, and one back to 3."""
    rng = np.random.default_rng(0)
    first, middle, last = (graphs.conv(rng, *sides) for sides in ((3, CHANNELS), (CHANNELS, CHANNELS), (CHANNELS, 3)))
    return graphs.chain("trunk", first, replace(middle, weight=keep_largest(middle.weight, n, 32)), last)


@pytest.mark.parametrize(("instruction_set", "lanes", "tolerance"), [("neon", 4, 1e-4), ("fp16", 8, 5e-3)])
def test_pruned_weights_are_not_executed(counter, instruction_set, lanes, tolerance):
    """The multiply-adds of N:32 layers are those of their weights, no more; instructions fall with them."""
    counts = {}
    for n in (1, 2, 4):
        counts[n], kernels = executed(counter, trunk(n), instruction_set, tolerance)
        assert kernels["n1"] == "sparse"
    step = CHANNELS * CHANNELS * 9 // 32 * HEIGHT * WIDTH  # of one more weight in 32
    assert counts[2]["multiply_adds"] - counts[1]["multiply_adds"] == pytest.approx(step, rel=0.02)
    assert counts[4]["multiply_adds"] - counts[2]["multiply_adds"] == pytest.approx(2 * step, rel=0.02)
    ends = (3 + 3) * CHANNELS * 9 * HEIGHT * WIDTH
    for n, count in counts.items():
        assert count["multiply_adds"] == pytest.approx(step * n + ends, rel=0.02), n
    # Every vector's multiply-add has a load at most, and a share of the weight's own instructions.
    per_vector = (counts[4]["instructions"] - counts[2]["instructions"]) / (2 * step / lanes)
    assert 1 < per_vector < 3


@pytest.mark.parametrize("n", [2, 4])
def test_half_precision_executes_half(counter, n):
    """What a layer of n of 32 weights takes beside the first and the last, which write floats."""
    instructions = []
    for instruction_set, tolerance in (("neon", 1e-4), ("fp16", 5e-3)):
        whole, none = (executed(counter, trunk(kept), instruction_set, tolerance)[0]["instructions"] for kept in (n, 0))
        instructions.append(whole - none)
    assert instructions[0] > 1.8 * instructions[1]  # what finds the rows of a tap is the same for both


def test_patterns_that_outputs_share_take_fewer_instructions(counter):
    """Of a layer with 4 of 32 weights, by what one more such layer takes: every vector is loaded for four outputs."""
    rng = np.random.default_rng(0)
    ends = graphs.conv(rng, 3, CHANNELS), graphs.conv(rng, CHANNELS, 3)
    counts = {}
    for shared, kernel in ((1, "sparse"), (4, "shared")):
        weight = 0.05 * share_places(rng, CHANNELS, CHANNELS, 4, shared)
        middle = replace(graphs.conv(rng, CHANNELS, CHANNELS), weight=weight)
        short, long = (
            executed(counter, graphs.chain("shared", ends[0], *[middle] * layers, ends[1])) for layers in (1, 2)
        )
        assert long[1]["n2"] == kernel
        counts[shared] = {name: long[0][name] - short[0][name] for name in short[0]}
    assert counts[4]["multiply_adds"] == pytest.approx(counts[1]["multiply_adds"], rel=1e-3)
    assert counts[4]["instructions"] < 0.85 * counts[1]["instructions"]


def test_masks_decide_what_is_executed(counter):
    """Where no pixel is important nothing of a block without dense channels is computed, else in proportion."""
    channels, layers = 32, 2
    graph = graphs.drawn_graph(channels, [[]] * layers, 0)
    counts = {}
    for columns in (0, 30, 60):  # whole tiles of 6x6 pixels
        image = graphs.random_image(graph, HEIGHT, WIDTH)
        image[0, 2] = np.arange(WIDTH) < columns
        counts[columns] = executed(counter, graph, image=image)[0]["multiply_adds"]
    important = counts[60] - counts[0]
    assert counts[30] - counts[0] == pytest.approx(important / 2, rel=0.02)
    # Winograd's F(6x6, 3x3) takes 64 products where 9 a pixel take 324; transforms and the 1x1 convolution come on top.
    products = layers * channels**2 * HEIGHT * 60
    assert products * (64 / 36 + 1) < important < 0.5 * products * (9 + 1)


def test_counts_repeat(counter):
    first, second = (executed(counter, trunk(2))[0] for _ in range(2))
    assert first["multiply_adds"] == second["multiply_adds"]
    assert first["instructions"] == pytest.approx(second["instructions"], rel=1e-3)


def test_threads_agree_to_the_bit():
    graph = optimise(lower(small("edsr", 2), "edsr"))[0]
    content, image = write_native(graph, {}), graphs.random_image(graph, 33, 37)
    expected = arm64.EmulatedModel(content).run(image)
    for threads in (2, 3):
        assert np.array_equal(arm64.EmulatedModel(content, threads=threads).run(image), expected)


def test_memory_does_not_grow_with_the_height_and_repeats():
    graph = optimise(lower(small("edsr", 4), "edsr"))[0]
    model = arm64.EmulatedModel(write_native(graph, {}))
    heap, maps = [], []
    for height in (48, 48, 128):
        image = graphs.random_image(graph, height, 24)
        model.run(image)
        heap.append(model.report["heap_bytes"])
        maps.append(model.report["feature_map_bytes"])
    assert heap[0] == heap[1]
    assert maps[0] == maps[1]
    assert maps[2] <= 1.05 * maps[0]
    assert heap[2] <= 1.05 * heap[0]


def test_pictures(tmp_path):
    """From PPM to PPM the same bytes as here, but for rounding."""
    graph = graphs.small_network(value_range=255.0)
    content = write_native(graph, {})
    pixels = np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)
    (tmp_path / "model").write_bytes(content)
    (tmp_path / "in.ppm").write_bytes(b"P6\n21 13\n255\n" + pixels.tobytes())
    command = [*arm64.EMULATOR, arm64.runner(), *(tmp_path / name for name in ("model", "in.ppm", "out.ppm"))]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    header, result = (tmp_path / "out.ppm").read_bytes().split(b"255\n", 1)
    assert header == b"P6\n42 26\n"
    expected = np.zeros((26, 42, 3), np.uint8)
    NativeModel(content).run(pixels, expected)
    assert np.abs(np.frombuffer(result, np.uint8).reshape(expected.shape).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.ppm", "out.ppm", "--isa", "avx2"], "avx2 is not known"),
        (["missing.ppm", "out.ppm"], "cannot read"),
        (["model", "out.ppm"], "is not a binary PPM file"),
        (["in.ppm", "out.ppm", "--size", "9x9"], "does not have the size"),
        (["in.ppm", "nowhere/out.ppm"], "cannot write"),
    ],
)
def test_the_runner_says_what_is_wrong(tmp_path, arguments, message):
    (tmp_path / "model").write_bytes(write_native(graphs.small_network(value_range=255.0), {}))
    (tmp_path / "in.ppm").write_bytes(b"P6\n2 2\n255\n" + bytes(12))
    command = [*arm64.EMULATOR, arm64.runner(), "model", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert message in result.stderr
