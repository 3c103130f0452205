"""Convolutions that the native engine runs as one: when it does, and that borders come out right."""

from __future__ import annotations

import math
from dataclasses import replace

import arm64
import numpy as np
import pytest

from sparsr.export.ir import layers as L
from sparsr.export.ir import reference
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from tests.export import graphs
from tests.runtime.native.native_models import instruction_sets, keep_largest, native_run

TOLERANCE = 1e-5  # of the largest value, as for every layer
SIZES = ((1, 1), (1, 2), (2, 1), (1, 40), (40, 1), (3, 3), (7, 17), (9, 70))


def upsampler(block=2, channels=24, outputs=3, middle=L.DepthToSpace, seed=0, weights=lambda weight: weight):
    rng = np.random.default_rng(seed)
    first, wide, last = (
        graphs.conv(rng, *sides) for sides in ((3, channels), (channels, channels * block**2), (channels, outputs))
    )
    wide, last = (replace(layer, weight=weights(layer.weight)) for layer in (wide, last))
    return [first, wide, middle(block), last]


def composed(model):
    return [operation["layer"] for operation in model.plan()["operations"] if "+" in operation["layer"]]


def assert_equal(graph, load=NativeModel, run=native_run, sets=(), sizes=SIZES):
    for name in sets or instruction_sets():
        model = load(write_native(graph, {}), name)
        for height, width in sizes:
            image = graphs.random_image(graph, height, width)
            expected = reference.run(graph, image)
            error = np.abs(run(model, image) - expected).max() / np.abs(expected).max()
            assert error < TOLERANCE, (name, height, width)
    return model


@pytest.mark.parametrize("block", [2, 3, 4])
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_border(block, outputs):
    model = assert_equal(graphs.chain("up", *upsampler(block, outputs=outputs), scale=block))
    assert composed(model) == ["n1+n3"]


@pytest.mark.parametrize(("kept", "sparse"), [(8, True), (1, False)])
def test_sparse_weights(kept, sparse):
    """Hardly any weights are fewer products one after the other."""
    layers = upsampler(channels=32, weights=lambda weight: keep_largest(weight, kept, 32))
    assert bool(composed(assert_equal(graphs.chain("up", *layers, scale=2)))) == sparse


def pyramid(blocks, channels=16, outputs=3, seed=0):
    """A convolution, then for each factor one to many channels and depth-to-space, then one to few."""
    rng = np.random.default_rng(seed)
    layers = [graphs.conv(rng, 3, channels)]
    for block in blocks:
        layers += [graphs.conv(rng, channels, channels * block**2), L.DepthToSpace(block)]
    return [*layers, graphs.conv(rng, channels, outputs)]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("blocks", [(2, 2), (2, 3), (3, 2), (2, 2, 2)])
def test_every_border_of_several(blocks, outputs):
    layers = pyramid(blocks, outputs=outputs)
    model = assert_equal(graphs.chain("up", *layers, scale=math.prod(blocks)), sizes=(*SIZES, (2, 2), (12, 130)))
    assert composed(model) == ["+".join(f"n{i}" for i in range(1, len(layers), 2))]


def test_only_the_last_of_several():
    """Hardly any weights from many channels to fewer: joined, all results would read all of the many."""
    rng = np.random.default_rng(2)
    first = graphs.conv(rng, 32, 64)
    first = replace(first, weight=keep_largest(first.weight, 1, 32))
    layers = [graphs.conv(rng, 3, 32), first, *pyramid((2, 2))[2:]]
    assert composed(assert_equal(graphs.chain("x4", *layers, scale=4), sizes=SIZES[5:])) == ["n3+n5"]


def test_depth_to_space_by_one():
    """It halves no reach."""
    model = assert_equal(graphs.chain("x2", *pyramid((1, 2)), scale=2), sizes=SIZES[5:])
    assert composed(model) == ["n3+n5"]


def test_more_behind():
    rng = np.random.default_rng(1)
    layers = [*pyramid((2, 2)), graphs.conv(rng, 3, 3)]
    layers.append(L.ChannelAffine(np.full(3, 2, np.float32), np.ones(3, np.float32)))
    assert composed(assert_equal(graphs.chain("x4", *layers, scale=4))) == ["n1+n3+n5"]


def test_result_is_read_twice():
    rng = np.random.default_rng(2)
    layers = [*upsampler(), (graphs.conv(rng, 3, 3), ["n3"]), (L.Add(), ["n3", "n4"])]
    assert composed(assert_equal(graphs.chain("twice", *layers, scale=2))) == ["n1+n3"]


def test_result_beside_others():
    rng = np.random.default_rng(3)
    layers = [*upsampler(), (graphs.conv(rng, 3, 12), ["image"]), L.DepthToSpace(2), (L.Concat(), ["n5", "n3"])]
    assert composed(assert_equal(graphs.chain("beside", *layers, scale=2))) == ["n1+n3"]


def test_emulated_arm64():
    arm64.runner()
    graph = graphs.chain("up", *pyramid((2, 2)), scale=4)
    model = assert_equal(graph, arm64.EmulatedModel, arm64.EmulatedModel.run, ["neon"], SIZES[::3])
    assert composed(model) == ["n1+n3+n5"]


def separate():
    rng = np.random.default_rng(3)
    first, wide, shuffle, last = upsampler()
    yield "activated between", [first, replace(wide, activation=graphs.RELU), shuffle, last]
    yield "activated after", [first, wide, shuffle, replace(last, activation=graphs.RELU)]
    yield "read in between", [first, wide, shuffle, last, graphs.conv(rng, 3, 24), (L.Add(), ["n2", "n4"])]
    yield "to many", [first, wide, shuffle, graphs.conv(rng, 24, 40)]
    yield "5x5", [first, wide, shuffle, graphs.conv(rng, 24, 3, 5)]
    yield "no padding", [first, wide, shuffle, graphs.conv(rng, 24, 3, padding=(0, 0, 0, 0))]


@pytest.mark.parametrize(("reason", "layers"), [pytest.param(*case, id=case[0]) for case in separate()])
def test_what_stays_apart(reason, layers):
    assert not composed(assert_equal(graphs.chain(reason, *layers, scale=2), sizes=SIZES[5:]))
