"""Networks that pool over the whole image: how many whole maps the native engine keeps, and that none is lost early."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.export.ir import reference
from sparsr.export.ir.graph import Node
from sparsr.export.ir.layers import Activation, Add, Concat, DepthToSpace, GlobalMean, GlobalStd, Mul, PadEdge
from sparsr.export.passes import for_native
from sparsr.export.writers.native import make_program, write_native
from sparsr.runtime.engines.native.load import NativeModel
from tests.export import graphs
from tests.runtime.native.native_models import native_run

CHANNELS = 16


def pooled_blocks(count, kernel=3, attention=True):
    """`count` blocks x + conv(x) * sigmoid(conv(mean)); a 1x1 convolution joins their results."""
    rng = np.random.default_rng(count)
    nodes = [Node("head", graphs.conv(rng, 3, CHANNELS), ("image",))]
    for block in range(count):
        source = nodes[-1].name
        nodes.append(Node(f"b{block}.conv", graphs.conv(rng, CHANNELS, CHANNELS, kernel), (source,)))
        if attention:
            gate = graphs.conv(rng, CHANNELS, CHANNELS, 1, activation=Activation("sigmoid"))
            nodes.append(Node(f"b{block}.mean", GlobalMean(), (f"b{block}.conv",)))
            nodes.append(Node(f"b{block}.gate", gate, (f"b{block}.mean",)))
            nodes.append(Node(f"b{block}.mul", Mul(), (f"b{block}.conv", f"b{block}.gate")))
        nodes.append(Node(f"b{block}", Add(), (nodes[-1].name, source)))
    joined = tuple(f"b{block}" for block in range(count))
    nodes.append(Node("joined", Concat(), joined))
    nodes.append(Node("fuse", graphs.conv(rng, count * CHANNELS, CHANNELS, 1, activation=graphs.RELU), ("joined",)))
    nodes.append(Node("last", graphs.conv(rng, CHANNELS, 3), ("fuse",)))
    return graphs.chain("pooled", graphs.RELU).with_nodes(nodes, "last")


def long_skip(graph, outputs):
    """`graph` and the head's features added up, then a tail to twice the size beside a skip of the image."""
    rng = np.random.default_rng(1)
    nodes = [node for node in graph.nodes if node.name != "last"]
    nodes.append(Node("sum", Add(), ("fuse", "head")))
    nodes.append(Node("tail", graphs.conv(rng, CHANNELS, outputs), ("sum",)))
    nodes.append(Node("pad", PadEdge((2,) * 4), ("image",)))
    nodes.append(Node("skip", graphs.conv(rng, 3, outputs, 5, padding=(0, 0, 0, 0)), ("pad",)))
    for name in ("tail", "skip"):
        nodes.append(Node(f"{name}.large", DepthToSpace(2), (name,)))
    nodes.append(Node("large", Add(graphs.LEAKY), ("tail.large", "skip.large")))
    return graph.with_nodes(nodes, "large")


def feature_maps(graph, height=96, width=64):
    model = NativeModel(write_native(graph, {}))
    model.prepare(height, width)
    return model.info.buffer_bytes


def test_memory_does_not_grow_with_the_number_of_blocks():
    assert feature_maps(pooled_blocks(8)) < 1.1 * feature_maps(pooled_blocks(4))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_map_is_overwritten_before_it_is_read(data):
    graph = pooled_blocks(data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, 3, 5])))
    if data.draw(st.booleans()):
        graph = long_skip(graph, 4)
    model = NativeModel(write_native(graph, {}), threads=data.draw(st.integers(1, 3)))
    for _ in range(2):  # the second size finds what the first left behind
        image = graphs.random_image(graph, data.draw(st.integers(1, 40)), data.draw(st.integers(1, 70)))
        expected = reference.run(graph, image)
        for _ in range(2):
            assert np.abs(native_run(model, image) - expected).max() < 1e-5 * max(np.abs(expected).max(), 1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", [GlobalMean, GlobalStd])
def test_means_of_one_result_and_of_several(kind, threads):
    rng = np.random.default_rng(3)
    sides = [("a", graphs.conv(rng, 3, 5), ["image"]), ("b", graphs.conv(rng, 3, 4), ["image"])]
    means = [("all", Concat(), ["a", "b"]), ("mean", kind(), ["all"]), ("own", kind(), ["b"])]
    products = [("first", Mul(), ["all", "mean"]), ("second", Mul(), ["b", "own"])]
    graph = graphs.chain("g", *sides, *means, *products, (Concat(), ["first", "second"]))
    model = NativeModel(write_native(graph, {}), threads=threads)
    for size in ((9, 37), (30, 8), (1, 1)):
        image = graphs.random_image(graph, *size)
        expected = reference.run(graph, image)
        for _ in range(2):
            assert np.abs(native_run(model, image) - expected).max() < 1e-5 * max(np.abs(expected).max(), 1)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_sum_of_parts_is_the_convolution_over_all(count):
    graph = pooled_blocks(count)
    parts, _ = for_native(graph)
    early = {node.name for node in parts.nodes if node.early}
    assert not any(isinstance(node.layer, Concat) for node in parts.nodes)
    assert early - {f"fuse.{index}.sum" for index in range(count)} == {f"fuse.{index}" for index in range(count - 1)}
    image = graphs.random_image(graph, 9, 11)
    np.testing.assert_allclose(reference.run(parts, image), reference.run(graph, image), atol=1e-5)


def test_a_long_skip_is_convolved_ahead():
    graph = long_skip(pooled_blocks(3), 8)
    parts, _ = for_native(graph)
    early = {node.name for node in parts.nodes if node.early}
    assert {"fuse.0", "fuse.1", "tail.0", "skip", "pad"} <= early
    assert not {"tail.1", "fuse.2", "head"} & early
    assert [node.name for node in parts.nodes if isinstance(node.layer, DepthToSpace)] == ["large"]
    image = graphs.random_image(graph, 9, 11)
    np.testing.assert_allclose(reference.run(parts, image), reference.run(graph, image), atol=1e-5)


def test_a_long_skip_takes_no_more_memory_than_what_is_made_of_it():
    size, whole_map = (192, 256), 4 * CHANNELS * 192 * 256
    added = feature_maps(long_skip(pooled_blocks(4), 4), *size) - feature_maps(pooled_blocks(4), *size)
    assert added < 0.6 * whole_map  # a quarter of a map, and some rows


def test_a_tail_with_many_outputs_reads_the_sum():
    graph = long_skip(pooled_blocks(3), 12)
    assert "tail" in {node.name for node in for_native(graph)[0].nodes}


def test_blocks_that_stream_are_joined_as_they_were():
    graph = pooled_blocks(3, attention=False)
    assert for_native(graph)[0].nodes == graph.nodes
    assert "tail" in {node.name for node in for_native(long_skip(graph, 4))[0].nodes}
    assert not any("early" in layer for layer in make_program(graph)[0]["layers"])
