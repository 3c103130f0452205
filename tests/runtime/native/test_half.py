"""Half precision on an emulated arm64 processor: layers and networks against float, work, memory, and who refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import arm64
import numpy as np
import pytest

from sparsr.export.ir import reference
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image
from sparsr.train.importers.models import load_model
from tests.export import graphs
from tests.export.layer_graphs import layer_graphs, native_layer_graphs
from tests.runtime.native.native_models import keep_largest, kernels_of, native_run
from tests.small_networks import EVERY_NETWORK, small

JUMPS = ("masked", "steps", "round", "ceil")  # what is rounded otherwise may fall on the other side
LAYERS = {name: graph for name, graph in native_layer_graphs().items() if name not in JUMPS}
NETWORKS = [entry for entry in EVERY_NETWORK if entry[0] != "smsr"]
TOLERANCE = 8e-3  # of the largest value: sixteen times the rounding of one, for networks as deep as RRDB
WITHOUT_FP16 = ("-cpu", "cortex-a53")


@pytest.fixture(scope="module", autouse=True)
def _runner():
    arm64.runner()


def half_model(graph, **options):
    return arm64.EmulatedModel(write_native(graph, {}), "fp16", **options)


def assert_near(graph, height, width):
    image = graphs.random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))
    model = half_model(graph)
    result, expected = model.run(image), reference.run(graph, image)
    assert np.abs(result - expected).max() <= TOLERANCE * np.abs(expected).max()
    return model


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name):
    assert_near(LAYERS[name], 9, 33)


@pytest.mark.parametrize(("architecture", "scale"), NETWORKS[:: len(NETWORKS) // 6])
def test_networks(architecture, scale):
    assert_near(optimise(lower(small(architecture, scale), architecture))[0], 17, 37)


@pytest.mark.parametrize(("inputs", "outputs"), [(7, 9), (70, 64)])
@pytest.mark.parametrize("stride", [1, 2])
def test_sparse_convolutions(inputs, outputs, stride):
    rng = np.random.default_rng(inputs)
    middle = graphs.conv(rng, inputs, outputs, activation=graphs.LEAKY, stride=stride)
    middle = replace(middle, weight=keep_largest(middle.weight, 2, 16))
    graph = graphs.chain("sparse", graphs.conv(rng, 3, inputs, 1), middle, graphs.conv(rng, outputs, 2))
    for height, width in ((1, 1), (4, 70), (5, 131)):
        assert kernels_of(assert_near(graph, height, width))["n1"] == "sparse"


def test_long_sums_keep_their_digits():
    """Much nearer to float than 900 products added up one by one in half precision."""
    rng = np.random.default_rng(0)
    first, last = graphs.conv(rng, 3, 900, 1), graphs.conv(rng, 900, 2, 1)
    image = graphs.random_image(graphs.chain("long", first, last), 6, 20)
    model = half_model(graphs.chain("long", first, last))
    features = reference.apply(first, image)[0].astype(np.float16)
    exact = reference.apply(last, features[None].astype(np.float32))[0]
    one_by_one = np.zeros_like(exact, np.float16)
    for channel, line in enumerate(features):
        one_by_one += last.weight[:, channel].astype(np.float16) * line
    one_by_one += last.bias.astype(np.float16)[:, None, None]
    assert np.std(model.run(image)[0] - exact) < np.std(one_by_one - exact) / 2


@pytest.mark.parametrize("name", ["assln_x4", "rfdn64_x4_sls_16", "smsr_maskless_x2"])
def test_trained_networks_on_a_photograph(shared_data, name):
    """At least 60 dB against float, the bar; the long sums of one number in half precision give 53 to 59 dB."""
    assert_photograph(shared_data, Path(__file__).parents[3] / "train/zoo" / f"{name}.safetensors")


def test_published_networks_on_a_photograph(shared_data):
    assert_photograph(shared_data, shared_data / "checkpoints/RFDN_AIM_x4.pth")


def assert_photograph(shared_data, path):
    graph = optimise(lower(load_model(path)[0], path.stem))[0]
    photograph = read_image(shared_data / "benchmarks/Set5/LR_bicubic/X4/butterflyx4.png").rgb[20:35, 24:40]
    image = photograph.transpose(2, 0, 1)[None] * np.float32(graph.value_range / 255)
    content = write_native(graph, {})
    expected = native_run(NativeModel(content), image)
    error = (half_model(graph).run(image) - expected) / graph.value_range
    assert 10 * np.log10(1 / np.mean(error**2)) > 60


def test_sigmoids_of_all_values():
    graph = graphs.chain("sigmoid", graphs.SIGMOID)
    image = np.linspace(-30, 30, 3 * 4 * 100, dtype=np.float32).reshape(1, 3, 4, 100)
    image[0, :, 0, 0] = 0, np.inf, -np.inf
    expected = 1 / (1 + np.exp(-image.astype(np.float16).astype(np.float64)))
    assert np.abs(half_model(graph).run(image) - expected).max() < 1.5e-3  # two roundings at 1


def test_half_of_the_memory():
    rng = np.random.default_rng(0)
    graph = graphs.chain("wide", *(graphs.conv(rng, *sides) for sides in ((3, 32), (32, 32), (32, 3))))
    image = graphs.random_image(graph, 4, 700)
    rings = []
    for instruction_set in ("neon", "fp16"):
        model = arm64.EmulatedModel(write_native(graph, {}), instruction_set)
        model.run(image)
        rings.append(sum(operation["ring_bytes"] for operation in model.plan()["operations"]))
    assert rings[1] < 0.55 * rings[0]


def test_threads_agree_to_the_bit():
    graph = optimise(lower(small("edsr", 2), "edsr"))[0]
    image = graphs.random_image(graph, 17, 21)
    assert np.array_equal(half_model(graph, threads=2).run(image), half_model(graph).run(image))


def test_processors_without_it_refuse_and_run_float():
    graph = optimise(lower(small("edsr", 2), "edsr"))[0]
    image = graphs.random_image(graph, 5, 9)
    with pytest.raises(AssertionError, match="this processor cannot compute in half precision"):
        half_model(graph, emulator=WITHOUT_FP16).run(image)
    result = arm64.EmulatedModel(write_native(graph, {}), emulator=WITHOUT_FP16).run(image)
    assert np.allclose(result, reference.run(graph, image), atol=1e-4)


def test_masked_blocks_are_refused_by_name():
    graph = layer_graphs()["masked"]
    with pytest.raises(AssertionError, match="the masked block block does not run in half precision"):
        half_model(graph).run(graphs.random_image(graph, 8, 8))


def test_nobody_gets_it_unasked(tmp_path):
    graph = graphs.small_network()
    model = arm64.EmulatedModel(write_native(graph, {}), "")
    model.run(graphs.random_image(graph, 5, 9))
    assert model.plan()["instruction_set"] == "neon"


@pytest.mark.parametrize("engine", ["ort", "litert"])
def test_other_engines_refuse(engine):
    with pytest.raises(SparsrError, match=f"the engine {engine} computes in fp32 only") as refusal:
        load_engine(engine, b"", precision="fp16")
    assert "--engine native" in refusal.value.hint
