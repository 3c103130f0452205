from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sparsr.export.ir import reference
from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layers import (
    Add,
    ChannelAffine,
    Concat,
    Conv,
    DepthToSpace,
    GlobalMean,
    Nearest,
    PadEdge,
    SliceChannels,
)
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.passes.common.compose_affines import compose_affines
from sparsr.export.passes.common.dead_nodes import remove_dead_nodes
from sparsr.export.passes.common.diagonal_conv import diagonal_conv
from sparsr.export.passes.common.fold_into_next import fold_into_next
from sparsr.export.passes.common.fold_into_previous import fold_into_previous
from sparsr.export.passes.common.fuse_activation import fuse_activation
from sparsr.export.passes.common.identities import remove_identities
from sparsr.export.passes.common.scale_before_sum import scale_before_sum
from sparsr.export.passes.common.shift_before_add import shift_before_add
from sparsr.export.passes.native.shuffle_after_sum import shuffle_after_sum
from sparsr.export.passes.rewrite import Rule, rewrite
from sparsr.train.networks import build
from tests.export.graphs import LEAKY, RELU, SIGMOID, chain, conv, random_image
from tests.small_networks import disturb, small

RNG = np.random.default_rng(7)


def affine(channels: int = 3, offset: bool = True) -> ChannelAffine:
    factor = RNG.uniform(0.5, 2, channels).astype(np.float32)
    return ChannelAffine(factor, RNG.normal(size=channels).astype(np.float32) * np.float32(offset))


def diagonal() -> Conv:
    weight = np.diag(RNG.uniform(0.5, 2, 3)).astype(np.float32)
    return Conv(weight[:, :, None, None], RNG.normal(size=3).astype(np.float32))


def after(rule: Rule, graph: DeployGraph) -> tuple[list[str], list[str]]:
    """Layer kinds and report lines after `rule`, once the result is seen to be the same."""
    result, report = rewrite(graph, rule)
    for height, width in ((1, 1), (5, 4), (7, 9)):
        image = random_image(graph, height, width)
        expected = reference.run(graph, image)
        np.testing.assert_allclose(reference.run(result, image), expected, rtol=1e-5, atol=1e-5)
    return [node.layer.kind for node in result.nodes], report


def test_identities_are_removed():
    whole = affine()
    whole.factor[:], whole.offset[:] = 1, 0
    removable = [(Concat(), ["n0"]), SliceChannels(0, 4), DepthToSpace(1), PadEdge((0,) * 4)]
    graph = chain("g", conv(RNG, 3, 4), *removable, conv(RNG, 4, 3), whole)
    assert after(remove_identities, graph) == (["Conv", "Conv"], ["remove_identities: applied 5 times"])
    kept = chain("g", SliceChannels(0, 2), (Concat(), ["n0", "n0"]), DepthToSpace(2), PadEdge((1,) * 4), scale=2)
    assert after(remove_identities, kept) == (["SliceChannels", "Concat", "DepthToSpace", "PadEdge"], [])


def test_an_identity_that_is_the_result_leaves_its_input_as_the_result():
    assert after(remove_identities, chain("g", conv(RNG, 3, 4), SliceChannels(0, 4)))[0] == ["Conv"]
    assert after(remove_identities, chain("g", SliceChannels(0, 3)))[0] == []


def test_dead_nodes_are_removed_with_what_only_they_read():
    graph = chain("g", ("a", RELU, ["image"]), ("b", LEAKY, ["image"]), ("c", SIGMOID, ["b"]), ("d", RELU, ["a"]))
    assert after(remove_dead_nodes, graph) == (["Activation"] * 2, ["remove_dead_nodes: applied 2 times"])


def test_a_diagonal_colour_convolution_becomes_an_affine_map():
    assert after(diagonal_conv, chain("g", diagonal(), conv(RNG, 3, 4)))[0] == ["ChannelAffine", "Conv"]


def test_a_general_colour_convolution_stays_and_says_why():
    kinds, report = after(diagonal_conv, chain("g", ("shift", conv(RNG, 3, 3, 1), ["image"]), conv(RNG, 3, 4)))
    assert kinds == ["Conv", "Conv"]
    assert report == ["diagonal_conv: shift stays, its matrix mixes the colours"]


def test_affine_maps_are_composed_in_the_right_order():
    assert after(compose_affines, chain("g", affine(), affine(), affine()))[0] == ["ChannelAffine"]


def test_an_affine_map_read_twice_stays_for_the_other_reader():
    graph = chain("g", ("a", affine(), ["image"]), ("b", affine(), ["a"]), ("c", Add(), ["a", "b"]))
    composed, _ = rewrite(graph, compose_affines)
    assert {node.name: node.inputs for node in composed.nodes} == {"a": ("image",), "b": ("image",), "c": ("a", "b")}
    picture = RNG.random((1, 3, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(reference.run(composed, picture), reference.run(graph, picture), rtol=0, atol=1e-6)


def test_a_scale_goes_before_a_sum_of_a_shuffled_convolution_and_nearest_pixels_of_the_scaled_image():
    # Compact in 0..1, exported for 0..255: nothing of the range is left but in the convolution's weights.
    graph = chain(
        "g",
        ("down", ChannelAffine(np.full(3, 0.25, np.float32), np.zeros(3, np.float32)), ["image"]),
        ("conv", conv(RNG, 3, 12), ["down"]),
        ("shuffle", DepthToSpace(2), ["conv"]),
        ("nearest", Nearest(2), ["down"]),
        ("sum", Add(), ["shuffle", "nearest"]),
        ("up", ChannelAffine(np.full(3, 4, np.float32), RNG.random(3).astype(np.float32)), ["sum"]),
        scale=2,
    )
    simple, _ = optimise(graph)
    assert sorted(node.layer.kind for node in simple.nodes) == ["Add", "Conv", "DepthToSpace", "Nearest"]
    picture = RNG.random((1, 3, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(reference.run(simple, picture), reference.run(graph, picture), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("second", "reason"),
    [("image", "one side of sum has no convolution and no scale to join"), ("conv", "one side of sum")],
)
def test_a_scale_stays_behind_a_sum_that_has_no_place_for_it(second, reason):
    scale = ChannelAffine(np.full(3, 4, np.float32), np.zeros(3, np.float32))
    graph = chain("g", ("conv", conv(RNG, 3, 3), ["image"]), ("sum", Add(), ["conv", second]), ("up", scale, ["sum"]))
    kinds, report = after(scale_before_sum, graph)
    assert kinds == ["Conv", "Add", "ChannelAffine"]
    assert reason in report[0]


@pytest.mark.parametrize("last", [affine(), diagonal(), conv(RNG, 3, 3, 1), conv(RNG, 3, 3, 1, RELU)])
@pytest.mark.parametrize("block", [1, 2, 3, 4])
def test_colour_maps_fold_into_the_convolution_before_also_through_a_pixel_shuffle(last, block):
    graph = chain("g", conv(RNG, 3, 3 * block**2), DepthToSpace(block), last, scale=block)
    assert after(fold_into_previous, graph)[0] == ["Conv", "DepthToSpace"]
    assert after(fold_into_previous, chain("g", conv(RNG, 3, 3), last))[0] == ["Conv"]


def test_an_affine_map_folds_into_a_grouped_convolution_and_a_colour_matrix_does_not():
    wide, grouped = conv(RNG, 3, 4), conv(RNG, 4, 12, groups=2)
    assert after(fold_into_previous, chain("g", wide, grouped, affine(12)))[0] == ["Conv", "Conv"]
    kinds, report = after(fold_into_previous, chain("g", wide, grouped, ("colours", conv(RNG, 12, 3, 1), ["n1"])))
    assert kinds == ["Conv"] * 3
    assert report == ["fold_into_previous: colours stays, it would mix the groups of n1"]


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([conv(RNG, 3, 3, activation=RELU), affine()], "n0 has an activation"),
        ([conv(RNG, 3, 3), affine(), (Add(), ["n0", "n1"])], "n0 is read elsewhere too"),
        ([conv(RNG, 3, 2), conv(RNG, 2, 8, 1)], "one convolution would cost more than n0 and this one"),
    ],
)
def test_folding_into_the_previous_convolution_says_why_not(layers, reason):
    kinds, report = after(fold_into_previous, chain("g", *layers))
    assert len(kinds) == len(layers)
    assert report == [f"fold_into_previous: n1 stays, {reason}"]


def test_a_scale_folds_into_a_zero_padded_convolution():
    graph = chain("g", affine(offset=False), conv(RNG, 3, 5))
    assert after(fold_into_next, graph)[0] == ["Conv"]


def test_an_offset_does_not_fold_into_a_zero_padded_convolution():
    graph = chain("g", ("mean", affine(), ["image"]), ("head", conv(RNG, 3, 5), ["mean"]))
    kinds, report = after(fold_into_next, graph)
    assert kinds == ["ChannelAffine", "Conv"]
    assert report == ["fold_into_next: mean stays, its offset does not fold into the zero-padded convolution head"]


def test_an_offset_folds_where_nothing_is_padded():
    assert after(fold_into_next, chain("g", affine(), conv(RNG, 3, 5, 1)))[0] == ["Conv"]
    padded = chain("g", affine(), PadEdge((1,) * 4), conv(RNG, 3, 5, padding=(0, 0, 0, 0)))
    assert after(fold_into_next, padded)[1] == ["fold_into_next: n0 stays, not only convolutions read it"]


def test_an_affine_map_folds_into_all_its_readers_grouped_ones_too():
    layers = [("wide", GlobalMean(), ["image"]), ("a", conv(RNG, 3, 4, 1), ["wide"]), ("f", affine(4), ["a"])]
    layers += [("b", conv(RNG, 4, 6, 1, groups=2), ["f"]), ("c", conv(RNG, 4, 6, 1), ["f"]), ("d", Add(), ["b", "c"])]
    assert after(fold_into_next, chain("g", *layers))[0] == ["GlobalMean", "Conv", "Conv", "Conv", "Add"]


@pytest.mark.parametrize("activation", [RELU, LEAKY, SIGMOID])
def test_activations_are_fused(activation):
    graph = chain(
        "g", ("a", conv(RNG, 3, 3), ["image"]), ("b", activation, ["a"]), ("c", Add(), ["b", "image"]), activation
    )
    assert after(fuse_activation, graph)[0] == ["Conv", "Add"]


def test_activations_that_cannot_be_fused_say_why():
    shared = chain("g", conv(RNG, 3, 3), RELU, (Add(), ["n0", "n1"]))
    assert after(fuse_activation, shared)[1] == ["fuse_activation: n1 stays, n0 is read elsewhere too"]
    second = chain("g", conv(RNG, 3, 3, activation=LEAKY), RELU)
    assert after(fuse_activation, second)[1] == ["fuse_activation: n1 stays, n0 has an activation already"]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_ledsr_becomes_a_mean_shift_convolutions_and_a_pixel_shuffle(scale):
    graph, report = optimise(lower(build("ledsr", scale, channels=6, blocks=4), "g"))
    kinds = [node.layer.kind for node in graph.nodes]
    assert kinds == ["ChannelAffine", "Conv", *["Conv", "Conv", "Add"] * 4, "Conv", "Add", "Conv", "DepthToSpace"]
    assert [line for line in report if "applied" not in line] == [
        "fold_into_next: sub_mean stays, its offset does not fold into the zero-padded convolution head.0"
    ]


def test_fine_tuned_mean_shifts_stay_one_colour_convolution_at_the_start():
    graph, _ = optimise(lower(disturb(small("ledsr", 2)), "g"))
    counts = Counter(node.layer.kind for node in graph.nodes)
    assert counts == {"Conv": 10, "Add": 4, "DepthToSpace": 1}
    assert graph.nodes[0].name == "sub_mean"


@pytest.mark.parametrize("architecture", ["imdn", "rfdn"])
def test_the_scales_of_a_unit_range_network_disappear(architecture):
    network = small(architecture, 2)
    network.value_range = 1.0
    graph, _ = optimise(lower(network, "g"))
    assert not any(isinstance(node.layer, ChannelAffine) for node in graph.nodes)


def test_a_shift_moves_before_a_sum_to_the_side_of_a_convolution():
    shift = ChannelAffine(np.ones(3, np.float32), RNG.normal(size=3).astype(np.float32))
    left, right = ("left", conv(RNG, 3, 12), ["image"]), ("right", conv(RNG, 3, 12), ["image"])
    shuffles = ("x", DepthToSpace(2), ["left"]), ("y", DepthToSpace(2), ["right"])
    graph = chain("g", left, right, *shuffles, ("sum", Add(), ["x", "y"]), shift, scale=2)
    kinds, report = after(shift_before_add, graph)
    assert kinds == ["Conv", "Conv", "DepthToSpace", "DepthToSpace", "ChannelAffine", "Add"]
    assert report == ["shift_before_add: applied 1 times"]
    stays = [
        ((Add(RELU), ["n0", "image"]), shift, "activation"),
        ((Add(), ["image", "image"]), shift, "no convolution"),
        ((Add(), ["n0", "image"]), affine(), "scales"),
    ]
    for total, layer, reason in stays:
        lines = after(shift_before_add, chain("g", conv(RNG, 3, 3), total, layer))[1]
        assert len(lines) == 1
        assert reason in lines[0]


def test_pixels_are_rearranged_once_after_a_sum():
    sides = [conv(RNG, 3, 12), DepthToSpace(2), ("other", conv(RNG, 3, 12, 1), ["image"]), DepthToSpace(2)]
    graph = chain("g", *sides, (Add(RELU), ["n1", "n3"]), scale=2)
    kinds, report = after(shuffle_after_sum, graph)
    assert (kinds, report) == (["Conv", "Conv", "Add", "DepthToSpace"], ["shuffle_after_sum: applied 1 times"])


def test_sums_of_other_things_stay():
    graph = chain("g", conv(RNG, 3, 12), DepthToSpace(1), (Add(), ["n1", "n0"]))
    assert after(shuffle_after_sum, graph) == (["Conv", "DepthToSpace", "Add"], [])
    sides = [conv(RNG, 3, 12), DepthToSpace(2), (conv(RNG, 3, 12), ["image"]), DepthToSpace(2)]
    graph = chain("g", *sides, (Add(), ["n1", "n3"]), (Add(), ["n4", "n1"]), scale=2)
    assert after(shuffle_after_sum, graph)[1] == ["shuffle_after_sum: n4 stays, what it adds up is read elsewhere too"]
