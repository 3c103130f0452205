"""The native engine against the reference executor: every layer, network, kernel and instruction set."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import arm64
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.export.ir import layers as L
from sparsr.export.ir import reference
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError
from tests.export import graphs
from tests.export.layer_graphs import native_layer_graphs
from tests.runtime.native.native_models import instruction_sets, keep_largest, kernels_of, native_run
from tests.small_networks import EVERY_NETWORK, small

SETS = instruction_sets()
LAYERS = native_layer_graphs()
TOLERANCE = 1e-5  # of the largest value; Winograd takes most of it


SIZES = ((1, 1), (2, 3), (5, 17), (9, 33))


def compare(load, run, sets, graph, sizes=SIZES):
    content = write_native(graph, {})
    models = {name: load(content, name) for name in sets}
    for height, width in sizes:
        image = graphs.random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))
        expected = reference.run(graph, image)
        for name, model in models.items():
            result = run(model, image)
            error = np.abs(result - expected).max() / max(np.abs(expected).max(), 1e-6)
            assert error < TOLERANCE, (graph.name, name, image.shape, error)
    return models


compare_here = partial(compare, NativeModel, native_run, SETS)


def compare_emulated(graph, sizes=SIZES):
    """Every second size: every run is a process, and only what is particular to arm64 is left to find."""
    return compare(arm64.EmulatedModel, arm64.EmulatedModel.run, ["neon"], graph, sizes[1::2] or sizes)


@pytest.fixture(scope="module", params=["here", "arm64"])
def assert_same(request):
    """Compares with the reference executor: on this processor's instruction sets, or on an emulated arm64 processor."""
    if request.param == "here":
        return compare_here
    arm64.runner()
    return compare_emulated


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(assert_same, name):
    assert_same(LAYERS[name])


@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (2, 1), (3, 2), (4, 5), (7, 3), (9, 1)])
def test_maxima_over_windows(assert_same, kernel, stride):
    conv = graphs.conv(np.random.default_rng(kernel), 3, 5)
    graph = graphs.chain("pool", conv, L.MaxPool(kernel, stride), minimum_size=kernel)
    assert_same(graph, sizes=((9, 9), (10, 33), (12, 70), (21, 160)))


@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_resizing_to_other_sizes(assert_same, stride):
    """Up, to the same size, and (of the image to its own maxima) down."""
    rng = np.random.default_rng(stride)
    small = graphs.conv(rng, 3, 5, stride=stride)
    up = graphs.chain("up", small, (L.ResizeLike(), ["n0", "image"]))
    pooled = ("pooled", L.MaxPool(3, stride), ["image"])
    down = graphs.chain("down", graphs.conv(rng, 3, 4), pooled, (L.ResizeLike(), ["n0", "pooled"]), minimum_size=3)
    for graph in (up, down):
        assert_same(graph, sizes=((3, 3), (5, 17), (9, 33), (20, 161)))


@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_every_network(assert_same, architecture, scale):
    graph = optimise(lower(small(architecture, scale), architecture))[0]
    assert_same(graph, sizes=((1, 1), (17, 37)))


def test_networks_without_passes(assert_same):
    assert_same(lower(small("rfdn", 3), "rfdn"), sizes=((16, 21),))


@pytest.mark.parametrize("m", [4, 8, 16, 32])
@pytest.mark.parametrize("channels", [(7, 9), (33, 5), (70, 64)])
def test_sparse_convolutions(assert_same, m, channels):
    rng = np.random.default_rng(m)
    inputs, outputs = channels
    first = graphs.conv(rng, 3, inputs, 1)
    for n in {1, max(1, m // 8), max(1, m // 4 - 1)}:
        sparse = graphs.conv(rng, inputs, outputs, activation=graphs.LEAKY)
        sparse = replace(sparse, weight=keep_largest(sparse.weight, n, m))
        last = (L.Add(graphs.RELU), ["n2", "n1"])
        other = graphs.conv(rng, outputs, outputs)
        graph = graphs.chain("sparse", first, sparse, replace(other, weight=keep_largest(other.weight, n, m)), last)
        models = assert_same(graph, sizes=((3, 1), (4, 70), (5, 95)))
        for name, model in models.items():
            few = (sparse.weight != 0).mean() < 0.1
            assert name == "plain" or not few or kernels_of(model)["n1"] == "sparse"


@pytest.mark.parametrize(
    ("kernel", "groups", "padding"), [(3, 1, (0, 0, 0, 0)), (3, 2, None), (5, 1, None), (1, 1, None)]
)
def test_strided_convolutions(assert_same, kernel, groups, padding):
    rng = np.random.default_rng(kernel)
    strided = graphs.conv(rng, 34, 10, kernel, graphs.LEAKY, groups, stride=2, padding=padding)
    sparse = replace(strided, weight=keep_largest(strided.weight, 2, 17))
    for layer in (strided, sparse):
        graph = graphs.chain("strided", graphs.conv(rng, 3, 34), layer, graphs.conv(rng, 10, 6), minimum_size=kernel)
        models = assert_same(graph, sizes=((1, 1), (5, 17), (8, 95), (7, 320)))
        for name, model in models.items():
            assert name == "plain" or kernels_of(model)["n1"] == ("dense" if layer is strided else "sparse")


@pytest.mark.parametrize(("groups", "inputs", "outputs", "kernel"), [(4, 64, 64, 3), (3, 33, 21, 3), (5, 35, 10, 1)])
def test_sparse_convolutions_in_groups(assert_same, groups, inputs, outputs, kernel):
    """Channels of a group are not a multiple of M, and groups not of what the kernel takes at a time."""
    rng = np.random.default_rng(groups)
    grouped = graphs.conv(rng, inputs, outputs, kernel, graphs.LEAKY, groups)
    sparse = replace(grouped, weight=keep_largest(grouped.weight, 1, 6))
    models = assert_same(graphs.chain("groups", graphs.conv(rng, 3, inputs), sparse), sizes=((1, 1), (4, 70), (5, 95)))
    for name, model in models.items():
        assert name == "plain" or kernels_of(model)["n1"] == "sparse"


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize(("inputs", "outputs"), [(12, 13), (16, 64), (49, 48)])
def test_winograd_convolutions(assert_same, inputs, outputs, side):
    rng = np.random.default_rng(inputs)
    graph = graphs.chain(
        "winograd",
        graphs.conv(rng, 3, inputs),
        graphs.conv(rng, inputs, outputs, side, activation=graphs.RELU),
        graphs.conv(rng, outputs, inputs, side),
        (L.Add(), ["n2", "n0"]),
        graphs.conv(rng, inputs, 12, side),
        L.DepthToSpace(2),
        scale=2,
    )
    models = assert_same(graph, sizes=((1, 64), (6, 65), (7, 81), (8, 143), (3, 160)))
    for name, model in models.items():
        assert name == "plain" or kernels_of(model)["n1"] == "winograd"


@pytest.mark.parametrize("side", [3, 5])
def test_winograd_tiles_cover_lines_of_every_length(assert_same, side):
    """One to twenty vectors of 16 lanes, more of fewer: the last tiles overlap. And heights that end within a tile."""
    rng = np.random.default_rng(side)
    wide, narrow = graphs.conv(rng, 12, 25, side, graphs.LEAKY), graphs.conv(rng, 25, 12, side)
    graph = graphs.chain("lines", graphs.conv(rng, 3, 12), wide, narrow, (L.Add(), ["n2", "n0"]))
    sizes = tuple((5 * vectors % 14 + 1, 16 * vectors - vectors % 3) for vectors in range(1, 21))
    models = assert_same(graph, sizes)
    assert all(kernels_of(model)["n1"] == "winograd" for name, model in models.items() if name != "plain")


def random_graph(draw):
    """A random network of a few layers with skips, joins, slices, and detours by single pixels or half the size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    tensors = [("image", 3)]
    entries = []
    for index in range(draw(st.integers(1, 7))):
        source, channels = tensors[draw(st.integers(0, len(tensors) - 1))]
        if draw(st.integers(0, 4)) == 0:
            entries += _random_detour(draw, rng, f"n{index}", source, channels)
            tensors.append((f"n{index}", channels))
            continue
        layer, inputs, result = _random_layer(draw, rng, tensors, source, channels)
        entries.append((f"n{index}", layer, inputs))
        tensors.append((f"n{index}", result))
    return graphs.chain("random", *entries)


def _random_detour(draw, rng, name, source, channels):
    """Entries from `source` to `name`, of the same shape, by what needs all of an image or its rows at another pace."""
    if draw(st.booleans()):
        mean, gate = f"{name}.mean", f"{name}.gate"
        weights = graphs.conv(rng, channels, channels, 1, graphs.SIGMOID)
        return [(mean, L.GlobalMean(), [source]), (gate, weights, [mean]), (name, L.Mul(), [source, gate])]
    half = graphs.conv(rng, channels, channels, stride=2)
    return [(f"{name}.half", half, [source]), (name, L.ResizeLike(), [f"{name}.half", source])]


def _random_layer(draw, rng, tensors, source, channels):
    kind = draw(st.sampled_from(["conv", "sparse", "concat", "slice", "add", "mul", "groups", "affine", "sigmoid"]))
    if kind in ("conv", "sparse"):
        outputs, kernel = draw(st.integers(1, 20)), draw(st.sampled_from([1, 3, 3, 5]))
        conv = graphs.conv(rng, channels, outputs, kernel, draw(st.sampled_from([None, graphs.RELU, graphs.LEAKY])))
        if kind == "sparse":
            conv = replace(conv, weight=keep_largest(conv.weight, 1, 4))
        return conv, [source], outputs
    same = [name for name, count in tensors if count == channels]
    other = draw(st.sampled_from(same))
    match kind:
        case "concat":
            joined = draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=3))
            return L.Concat(), [name for name, _ in joined], sum(count for _, count in joined)
        case "slice":
            start = draw(st.integers(0, channels - 1))
            stop = draw(st.integers(start + 1, channels))
            return L.SliceChannels(start, stop), [source], stop - start
        case "add":
            return L.Add(draw(st.sampled_from([None, graphs.RELU]))), [source, other], channels
        case "mul":
            return L.Mul(), [source, other], channels
        case "affine":
            return L.ChannelAffine(*rng.normal(0, 1, (2, channels)).astype(np.float32)), [source], channels
        case "groups":
            return graphs.conv(rng, channels, channels, groups=channels), [source], channels
    return graphs.SIGMOID, [source], channels


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_random_graphs(data):
    compare_here(random_graph(data.draw), sizes=((data.draw(st.integers(1, 9)), data.draw(st.integers(1, 70))),))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_random_graphs_arm64(data):
    arm64.runner()
    compare_emulated(random_graph(data.draw), sizes=((data.draw(st.integers(1, 9)), data.draw(st.integers(1, 70))),))


@pytest.mark.parametrize("name", SETS)
def test_the_environment_chooses_the_instruction_set(monkeypatch, name):
    content = write_native(graphs.small_network(), {})
    monkeypatch.setenv("SPARSR_ISA", name)
    assert NativeModel(content).info.instruction_set.decode() == name
    monkeypatch.setenv("SPARSR_ISA", "sse9")
    with pytest.raises(SparsrError, match="the instruction set sse9 is not known"):
        NativeModel(content)
    assert NativeModel(content, name).info.instruction_set.decode() == name


def test_bytes_in_and_out_rows_in_order_any_memory_layout():
    graph = graphs.small_network(value_range=255.0)
    model = NativeModel(write_native(graph, {}))
    rng = np.random.default_rng(0)
    for height, width in ((5, 9), (12, 40), (5, 9)):
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        expected = reference.run(graph, pixels.transpose(2, 0, 1)[None].astype(np.float32))[0]
        rounded = np.clip(np.floor(expected + 0.5), 0, 255).transpose(1, 2, 0)
        rows = []
        result = np.zeros((2 * height, 2 * width, 3), np.uint8)
        assert model.run(pixels, result, lambda row, rows=rows: not rows.append(row))
        assert rows == list(range(2 * height))
        assert np.abs(result - rounded).max() <= 1
        assert (result == rounded).mean() > 0.99
        planar = np.zeros((3, 2 * height, 2 * width), np.uint8)
        model.run(np.ascontiguousarray(pixels.transpose(2, 0, 1)).transpose(1, 2, 0), planar.transpose(1, 2, 0))
        assert np.array_equal(planar.transpose(1, 2, 0), result)


def test_a_row_callback_can_end_the_run_and_raise():
    graph = graphs.small_network()
    model = NativeModel(write_native(graph, {}))
    image, result = np.zeros((9, 9, 3), np.float32), np.full((18, 18, 3), np.nan, np.float32)
    assert model.run(image, result, lambda row: row < 3) is False
    assert not np.isnan(result[:4]).any()
    assert np.isnan(result[4:]).all()

    def fail(row):
        raise KeyError("stop")

    with pytest.raises(KeyError):
        model.run(image, result, fail)
    assert model.run(image, result)


def test_feature_maps_do_not_grow_with_the_height():
    graph = optimise(lower(small("edsr", 4), "edsr"))[0]
    model = NativeModel(write_native(graph, {}))
    sizes = []
    for height in (64, 512):
        native_run(model, graphs.random_image(graph, height, 40))
        sizes.append(model.info.buffer_bytes)
    assert sizes[1] <= 1.02 * sizes[0]


def test_a_sparse_layer_without_weights_is_only_its_bias(assert_same):
    conv = graphs.conv(np.random.default_rng(0), 3, 6)
    assert_same(graphs.chain("empty", replace(conv, weight=np.zeros_like(conv.weight))))
