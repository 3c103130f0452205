"""ASSL, GASSL and L1 against naive versions of what the papers and their code say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import build
from sparsr.train.networks.weight_norm import WeightNormConv2d, add_weight_norm, merge_weight_norm
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.assl import Assl, alignment_penalty, growth_updates, penalise, scale_scores
from sparsr.train.pruning.channel_groups import channel_groups
from sparsr.train.pruning.gassl import Gassl, counts_below
from sparsr.train.pruning.l1 import L1
from sparsr.train.pruning.selection import align, considered, kept_counts, removed_count
from sparsr.train.pruning.settings import AsslSettings, FilterSettings, GasslSettings, L1Settings
from sparsr.train.pruning.slimming import mask
from sparsr.train.quality.complexity import gmacs_720p, macs, parameters


def small(scale=2, channels=8, blocks=2, seed=0):
    torch.manual_seed(seed)
    return build("ledsr", scale, channels=channels, blocks=blocks)


def groups_of(network):
    return considered(channel_groups(network), ["tail*"])


# --- weight normalisation ---------------------------------------------------------------------------------------


def test_weight_norm_keeps_the_function_and_merging_gives_it_back():
    network = small()
    image = torch.rand(2, 3, 9, 7) * 255
    before = network(image)
    add_weight_norm(network)
    assert sum(isinstance(m, WeightNormConv2d) for m in network.modules()) == len(convolutions(network)) - 2
    torch.testing.assert_close(network(image), before, rtol=0, atol=2e-3)
    with torch.no_grad():
        for conv in convolutions(network).values():
            if isinstance(conv, WeightNormConv2d):
                conv.weight.mul_(3.7)  # the length of the direction does not matter
                conv.wn_scale.mul_(0.5)
    halved = network(image)
    merge_weight_norm(network)
    assert not any(isinstance(m, WeightNormConv2d) for m in network.modules())
    torch.testing.assert_close(network(image), halved, rtol=0, atol=2e-3)
    assert (halved - before).abs().max() > 1


def test_the_effective_filter_is_scale_times_direction():
    conv = WeightNormConv2d(torch.nn.Conv2d(5, 3, 3))
    with torch.no_grad():
        conv.wn_scale.copy_(torch.tensor([2.0, -0.5, 0.0]))
    for o in range(3):
        expected = conv.wn_scale[o] * conv.weight[o] / float((conv.weight[o].detach().double() ** 2).sum()) ** 0.5
        torch.testing.assert_close(conv.merged_weight()[o], expected)


# --- counts and selection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "ratio", "expected"),
    [("edsr", 0.3, 681_063), ("edsr", 0.7, 154_163), ("ledsr", 207 / 256, 721_390 + 24), ("ledsr", 208 / 256, 692_436)],
)
def test_published_widths_give_the_published_parameters(architecture, ratio, expected):
    """ASSL, table of EDSR-baseline x2 at 0.3 and 0.7 (681.1K, 154.2K); LEDSR x2 with 49 and 48 channels."""
    method = L1(L1Settings("l1", ratio=ratio, round_to=1))
    assert parameters(method.finish(build(architecture, 2)), mean_shifts=True) == expected


@pytest.mark.parametrize(("scale", "gmacs"), [(2, 159.15), (3, 71.40), (4, 40.68)])
def test_assln_48_has_the_published_multiply_adds(scale, gmacs):
    assert gmacs_720p(build("ledsr", scale, channels=48)) == pytest.approx(gmacs, abs=0.005)


@pytest.mark.parametrize("total", [1, 2, 7, 64, 256])
@pytest.mark.parametrize("ratio", [0.0, 0.001, 0.3, 0.999])
def test_at_least_one_filter_stays(total, ratio):
    removed = removed_count(total, ratio)
    assert 0 <= removed < total
    assert removed >= min(total - 1, ratio * total)


def test_forced_counts_rounding_and_impossible_counts():
    groups = groups_of(small())
    settings = FilterSettings("l1", ratio=0.5, round_to=1, layer_channels={"body.0.body.0": 3})
    assert kept_counts(groups, settings) == {"head.0": 4, "body.0.body.0": 3, "body.1.body.0": 4}
    assert set(kept_counts(groups, FilterSettings("l1", keep=5)).values()) == {8}
    with pytest.raises(SparsrError, match="cannot keep 9"):
        kept_counts(groups, FilterSettings("l1", keep=9))
    clash = FilterSettings("l1", layer_channels={"head.0": 3, "body.0.body.2": 4})
    with pytest.raises(SparsrError, match="share channels"):
        kept_counts(groups, clash)


def test_l1_keeps_the_filters_with_the_largest_mean_weight():
    network = small(channels=6)
    method = L1(L1Settings("l1", keep=3, round_to=1, reinit=["body.0.*"]))
    slim = method.finish(network)
    weight = network.body[1].body[0].weight.detach().numpy()
    best = sorted(np.argsort(-np.abs(weight).mean(axis=(1, 2, 3)))[:3].tolist())
    assert method.kept["body.1.body.0"] == best
    assert method.kept["head.0"] == sorted(
        np.argsort(-network.head[0].weight.detach().abs().mean(dim=(1, 2, 3)).numpy())[:3].tolist()
    )
    stream = method.kept["head.0"]
    torch.testing.assert_close(slim.body[1].body[0].weight, torch.from_numpy(weight)[best][:, stream])
    first = network.body[0].body[0].weight[method.kept["body.0.body.0"]][:, stream]
    assert not torch.equal(slim.body[0].body[0].weight, first), "reinit leaves fresh weights"


def test_aligning_by_the_mean_weighs_layers_equally():
    scores = torch.tensor([[1.0, 2.0, 3.0], [300.0, 200.0, 160.0]])
    assert align(scores, "first").tolist() == [1.0, 2.0, 3.0]
    expected = (scores[0] / 2 + scores[1] / 220) / 2
    torch.testing.assert_close(align(scores, "mean"), expected)


# --- ASSL -------------------------------------------------------------------------------------------------------


def naive_alignment(scales: np.ndarray, removed: int) -> float:
    total = 0.0
    layers = len(scales)
    soft = [[1 / (1 + math.exp(-(g - sorted(row)[removed]))) for g in row] for row in scales.tolist()]
    for i, j in itertools.product(range(layers), repeat=2):
        total += sum(a * b for a, b in zip(soft[i], soft[j], strict=True))
    return -total / layers**2


@pytest.mark.parametrize(("layers", "channels", "removed"), [(1, 5, 2), (3, 8, 6), (18, 16, 13), (2, 4, 0)])
def test_alignment_penalty_equals_a_naive_one_and_prefers_agreement(layers, channels, removed):
    scales = torch.randn(layers, channels, generator=torch.Generator().manual_seed(layers))
    value = alignment_penalty(scales, removed)
    assert float(value) == pytest.approx(naive_alignment(scales.numpy(), removed), rel=1e-5)
    agreeing = scales[:1].expand(layers, channels)
    assert alignment_penalty(agreeing, removed) <= value + 1e-6 or layers == 1 or removed == 0


def test_alignment_gradient_flows_through_the_threshold():
    scales = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: alignment_penalty(s, 4), (scales,))


def test_penalising_adds_coefficient_times_value_to_scale_and_bias_only():
    network = small()
    add_weight_norm(network)
    network(torch.rand(1, 3, 6, 6) * 255).mean().backward()
    before = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    group = next(g for g in groups_of(network) if g.name == "head.0")
    coefficients = torch.linspace(0, 0.5, group.size)
    penalise(network, group, coefficients)
    for name, parameter in network.named_parameters():
        if parameter.grad is None:
            continue
        layer, _, kind = name.rpartition(".")
        expected = before[name]
        if layer in group.writers and kind in ("wn_scale", "bias"):
            expected = expected + coefficients * parameter.detach()
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-6, atol=1e-7)


def test_growth_follows_the_published_rule():
    """5001 increments of 1e-4 exceed 0.5; free layers already grow during SSA and finish earlier."""
    assert growth_updates(0.5, 1e-4) == 5001
    assert growth_updates(0.05, 1e-4) == 501
    settings = AsslSettings("assl", keep=4, ssa_steps=6, interval=2, granularity=0.1, limit=0.45, stabilise_steps=3)
    method = Assl(settings)
    ssa, grow, stabilise = method.phases()
    assert (ssa.steps, grow.steps, stabilise.steps) == (6, 10, 3)
    network = ssa.begin(small())
    network(torch.rand(1, 3, 6, 6) * 255).mean().backward()
    for step in range(1, ssa.steps + 1):
        ssa.adjust_gradients(network, step)
    free, stream = method.updates["body.0.body.0"], method.updates["head.0"]
    assert sorted(free.tolist()) == [0] * 4 + [3] * 4
    assert stream.tolist() == [0] * 8
    with torch.no_grad():  # other filters of the free layer become the smallest
        network.body[0].body[0].wn_scale.copy_(network.body[0].body[0].wn_scale.flip(0))
    grow.begin(network)
    for step in range(1, grow.steps + 1):
        grow.adjust_gradients(network, step)
    assert sorted(stream.tolist()) == [0] * 4 + [5] * 4
    assert int(free.max()) == 5, "finished once the largest coefficient exceeds the limit"


def test_a_pruned_channel_regularised_to_zero_is_removed_without_a_trace():
    """With scales and biases of the removed filters at 0, slimming changes nothing (ASSL section 3.5)."""
    method = Assl(AsslSettings("assl", keep=4))
    network = method.phases()[0].begin(small())
    silent = mask(network, method.kept)
    image = torch.rand(1, 3, 11, 6) * 255
    torch.testing.assert_close(method.finish(silent)(image), silent(image), rtol=0, atol=2e-3)
    for name, kept in method.kept.items():
        scales = scale_scores(network)[name].abs()
        assert sorted(torch.topk(scales, 4).indices.tolist()) == kept


# --- GASSL ------------------------------------------------------------------------------------------------------


def test_global_ranking_equals_a_naive_one():
    network = small(channels=8)
    add_weight_norm(network)
    torch.manual_seed(3)
    with torch.no_grad():
        for conv in convolutions(network).values():
            if isinstance(conv, WeightNormConv2d):
                conv.wn_scale.uniform_(-1, 1)
    method = Gassl(GasslSettings("gassl", ratio=0.4, round_to=1), small)
    layers = {name: s.abs().tolist() for name, s in scale_scores(network).items() if not name.startswith("tail")}
    everything = sorted(x for scores in layers.values() for x in scores)
    threshold = everything[min(math.ceil(0.4 * len(everything)), len(everything) - 1)]
    removed = {name: min(sum(x < threshold for x in scores), 7) for name, scores in layers.items()}
    stream = ["head.0", "body.0.body.2", "body.1.body.2", "body.2"]
    expected = {
        "head.0": 8 - sum(removed[name] for name in stream) // 4,
        "body.0.body.0": 8 - removed["body.0.body.0"],
        "body.1.body.0": 8 - removed["body.1.body.0"],
    }
    assert method._select(network) == expected


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_multiply_add_budget_is_met_closely(share):
    network = small(channels=16, blocks=3)
    add_weight_norm(network)
    torch.manual_seed(4)
    with torch.no_grad():
        for conv in convolutions(network).values():
            if isinstance(conv, WeightNormConv2d):
                conv.wn_scale.uniform_(0, 1)
    method = Gassl(GasslSettings("gassl", macs=share, round_to=1), small)
    counts = method._select(network)
    method.kept = {name: list(range(count)) for name, count in counts.items()}
    dense = macs(small(channels=16, blocks=3), 32, 32)
    reached = macs(method.finish(network), 32, 32) / dense
    assert reached <= share
    assert reached > share - 0.08  # one stream channel is worth several percent of this small network


def test_hair_penalises_every_channel_alike_and_asssl_restarts_from_dense():
    dense = small()
    settings = GasslSettings("gassl", ratio=0.5, round_to=1, hair_interval=1, hair_granularity=0.01, hair_limit=0.03)
    method = Gassl(settings, lambda: dense)
    hair, ssa, *_ = method.phases()
    assert hair.steps == 4
    network = hair.begin(dense)
    network(torch.rand(1, 3, 6, 6) * 255).mean().backward()
    before = network.head[0].wn_scale.grad.clone()
    hair.adjust_gradients(network, 4)
    torch.testing.assert_close(network.head[0].wn_scale.grad, before + 0.04 * network.head[0].wn_scale.detach())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.5)
    image = torch.rand(1, 3, 6, 6) * 255
    torch.testing.assert_close(ssa.begin(network)(image), dense(image), rtol=0, atol=2e-3)
    assert method.counts is not None


def test_counts_never_empty_a_layer():
    groups = groups_of(small())
    scales = {group.name: torch.zeros(len(group.writers), group.size) for group in groups}
    assert set(counts_below(scales, groups, 1.0, 1).values()) == {1}
