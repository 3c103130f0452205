"""Passes that change how a network is computed: exact over odd sizes, and a reason where they do not apply."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.export.ir import reference
from sparsr.export.ir.layers import Add, ChannelAffine, Conv, DepthToSpace, Mul, Nearest
from sparsr.export.passes import optimise
from sparsr.export.passes.common.nearest_phases import nearest_phases
from sparsr.export.passes.common.parallel_convs import parallel_convs
from sparsr.export.passes.common.pointwise_into_next import pointwise_into_next
from sparsr.export.passes.common.silu import silu
from sparsr.export.passes.rewrite import rewrite
from tests.export.graphs import RELU, SIGMOID, SILU, chain, conv, prelu, random_image


def kinds(graph):
    return [node.layer.kind for node in graph.nodes]


def same(before, after):
    for height, width in ((1, 1), (5, 3), (4, 9)):
        image = random_image(before, max(height, before.minimum_size), max(width, before.minimum_size))
        exact = reference.exact(before, image)
        np.testing.assert_allclose(reference.exact(after, image), exact, atol=2e-6 * max(1, np.abs(exact).max()))


def applied(rule, graph, expected):
    result, _ = rewrite(graph, rule)
    assert kinds(result) == expected
    same(graph, result)
    return result


def refused(rule, graph, reason):
    result, lines = rewrite(graph, rule)
    assert result is graph
    assert any(reason in line for line in lines)


@given(st.integers(2, 5), st.sampled_from([3, 5, 7, 2, 4]), st.booleans(), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_convolutions_of_enlarged_maps_run_over_the_small_one(factor, side, sloped, seed):
    rng = np.random.default_rng(seed)
    low = side // 2 if side % 2 else int(rng.integers(0, side))
    padding = (low, side - 1 - low, side - 1 - low, low)
    layer = conv(rng, 4, 3, side, activation=prelu(rng, 3) if sloped else None, padding=padding)
    graph = chain("g", conv(rng, 3, 4), Nearest(factor), layer, scale=factor)
    result = applied(nearest_phases, graph, ["Conv", "Conv", "DepthToSpace"])
    assert result.macs(8, 8) <= graph.macs(8, 8)


def test_a_factor_of_two_leaves_16_of_36_products_of_a_3x3_kernel():
    rng = np.random.default_rng(1)
    graph = chain("g", Nearest(2), conv(rng, 3, 5), scale=2)
    weight = applied(nearest_phases, graph, ["Conv", "DepthToSpace"]).nodes[0].layer.weight
    assert np.count_nonzero(weight) == 16 * 3 * 5


def test_1x1_convolutions_come_before_the_enlargement():
    rng = np.random.default_rng(2)
    applied(nearest_phases, chain("g", Nearest(3), conv(rng, 3, 2, 1, RELU), scale=3), ["Conv", "Nearest"])


def test_enlargements_stay_where_that_is_not_so():
    rng = np.random.default_rng(3)
    shared = chain("g", Nearest(2), conv(rng, 3, 3), (Add(), ["n0", "n1"]), scale=2)
    refused(nearest_phases, shared, "read elsewhere too")
    for layer in (conv(rng, 3, 3, stride=2), conv(rng, 3, 3, groups=3), conv(rng, 3, 3, padding=(0,) * 4)):
        refused(nearest_phases, chain("g", Nearest(2), layer, minimum_size=2), "stride, groups or another size")


@pytest.mark.parametrize("swapped", [False, True])
def test_a_product_with_its_own_sigmoid_is_silu(swapped):
    rng = np.random.default_rng(4)
    inputs = ["n1", "n0"] if swapped else ["n0", "n1"]
    graph = chain("g", conv(rng, 3, 3), SIGMOID, (Mul(), inputs))
    result = applied(silu, graph, ["Conv", "Activation"])
    assert result.nodes[1].layer.function == "silu"
    assert optimise(graph)[0].nodes[0].layer.activation.function == "silu"


def test_other_products_stay():
    rng = np.random.default_rng(5)
    gate = chain("g", conv(rng, 3, 3), SIGMOID, (Mul(), ["image", "n1"]))
    refused(silu, gate, "the sigmoid of another map")
    twice = chain("g", conv(rng, 3, 3), SIGMOID, (Mul(), ["n0", "n1"]), (Add(), ["n2", "n1"]))
    refused(silu, twice, "read elsewhere too")


def affine(rng, channels):
    return ChannelAffine(*rng.normal(size=(2, channels)).astype(np.float32))


def branches(first, second, activation=None):
    return chain("g", ("a", first, ["image"]), ("b", second, ["image"]), (Add(activation), ["a", "b"]))


@given(st.sampled_from([1, 3, 5]), st.sampled_from([3, 5]), st.sampled_from([1, 3]), st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_branches_of_a_sum_are_one_convolution(small, large, groups, seed):
    rng = np.random.default_rng(seed)
    pair = [conv(rng, 3, 6, side, groups=groups) for side in (small, large)]
    graph = branches(*(pair if seed % 2 else pair[::-1]), RELU)
    if sum(layer.weight.size for layer in pair) >= 6 * 3 // groups * max(small, large) ** 2:
        result = applied(parallel_convs, graph, ["Conv"])
        assert result.nodes[0].layer.activation is RELU


@pytest.mark.parametrize("groups", [1, 3])
def test_a_repvgg_block_is_one_convolution(groups):
    """Three branches with batch normalisation, here a scale and an offset each; one of them has nothing else."""
    rng = np.random.default_rng(6)
    graph = chain(
        "g",
        ("wide", conv(rng, 3, 3, 3, groups=groups), ["image"]),
        ("wide.norm", affine(rng, 3), ["wide"]),
        ("point", conv(rng, 3, 3, 1, groups=groups), ["image"]),
        ("point.norm", affine(rng, 3), ["point"]),
        ("identity", affine(rng, 3), ["image"]),
        ("two", Add(), ["wide.norm", "point.norm"]),
        ("three", Add(RELU), ["identity", "two"]),
    )
    result, _ = optimise(graph)
    assert kinds(result) == ["Conv"]
    same(graph, result)


def test_branches_stay_where_they_are_not_alike():
    rng = np.random.default_rng(7)
    refused(parallel_convs, branches(conv(rng, 3, 3, activation=RELU), conv(rng, 3, 3, 1)), "a function comes before")
    refused(parallel_convs, branches(conv(rng, 3, 3, groups=3), conv(rng, 3, 3, 1)), "different groups or strides")
    lopsided = [conv(rng, 3, 3, padding=padding) for padding in ((2, 2, 0, 0), (0, 0, 2, 2))]
    refused(parallel_convs, branches(*lopsided), "would cost more")
    shared = chain(
        "g", conv(rng, 3, 3), ("b", conv(rng, 3, 3, 1), ["image"]), (Add(), ["n0", "b"]), (Add(), ["n2", "b"])
    )
    refused(parallel_convs, shared, "read elsewhere too")
    residual = chain("g", conv(rng, 3, 3), (Add(), ["n0", "image"]))
    assert rewrite(residual, parallel_convs) == (residual, [])


def without_bias(layer):
    return Conv(layer.weight, np.zeros_like(layer.bias))


def test_1x1_convolutions_fold_into_the_next():
    rng = np.random.default_rng(8)
    first = conv(rng, 3, 8, 1)
    applied(pointwise_into_next, chain("g", without_bias(first), conv(rng, 8, 4)), ["Conv"])
    applied(pointwise_into_next, chain("g", first, conv(rng, 8, 4, padding=(0,) * 4), minimum_size=3), ["Conv"])
    refused(pointwise_into_next, chain("g", first, conv(rng, 8, 4)), "does not fold into the zero-padded")
    refused(pointwise_into_next, chain("g", conv(rng, 3, 8, 1, RELU), conv(rng, 8, 4)), "has an activation")
    narrow = chain("g", conv(rng, 3, 8), without_bias(conv(rng, 8, 2, 1)), conv(rng, 2, 8))
    refused(pointwise_into_next, narrow, "would cost more")


def test_linear_tails_are_one_convolution():
    """A convolution to many channels, the shuffle, and a mixture of channels and a scale after it."""
    rng = np.random.default_rng(9)
    graph = chain("g", conv(rng, 3, 12), DepthToSpace(2), conv(rng, 3, 3, 1), affine(rng, 3), scale=2)
    result, _ = optimise(graph)
    assert kinds(result) == ["Conv", "DepthToSpace"]
    same(graph, result)


def test_everything_together_stays_exact():
    rng = np.random.default_rng(10)
    graph = chain(
        "g",
        ("a", conv(rng, 3, 8), ["image"]),
        ("b", conv(rng, 3, 8, 1), ["image"]),
        ("sum", Add(), ["a", "b"]),
        ("act", SILU, ["sum"]),
        ("large", Nearest(2), ["act"]),
        ("mixed", conv(rng, 8, 6), ["large"]),
        ("gate", SIGMOID, ["mixed"]),
        ("gated", Mul(), ["mixed", "gate"]),
        ("out", conv(rng, 6, 3), ["gated"]),
        scale=2,
    )
    result, _ = optimise(graph)
    assert kinds(result) == ["Conv", "Conv", "DepthToSpace", "Conv"]
    same(graph, result)
