"""What each method does to a network, step by step, stated as behaviour: every sentence here was once unguarded."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from sparsr.train.networks import build
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.networks.weight_norm import WeightNormConv2d
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.assl import Assl
from sparsr.train.pruning.gassl import Gassl
from sparsr.train.pruning.settings import AsslSettings, GasslSettings, SlsSettings
from sparsr.train.pruning.sls import Sls
from sparsr.train.pruning.sparse_conv import sparse_convolutions
from sparsr.train.smsr.training import Smsr, SmsrSettings

STREAM = ["head.0", "body.0.body.2", "body.1.body.2", "body.2"]
FREE = ["body.0.body.0", "body.1.body.0"]


def network_of(channels=8, seed=0):
    torch.manual_seed(seed)
    return build("ledsr", 2, channels=channels, blocks=2)


def assl(**settings):
    """Keeps 3 of 8, so that kept and removed channels cannot be mistaken for each other."""
    lengths = {"ssa_steps": 4, "interval": 2, "granularity": 0.1, "limit": 0.25, "stabilise_steps": 2}
    return Assl(AsslSettings("assl", keep=3, round_to=1, **(lengths | settings)))


def scale(network, layer):
    return network.get_submodule(layer).wn_scale


def set_scales(network, layer, values):
    with torch.no_grad():
        scale(network, layer).copy_(torch.tensor(values))


def no_gradients(network):
    """Zero gradients everywhere: what is there afterwards the method has put there."""
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)


def coefficients(network, layer):
    """What was added to the gradient, per unit of the value: [channels] of the scale; the bias must agree."""
    conv = network.get_submodule(layer)
    of_scale = conv.wn_scale.grad / conv.wn_scale.detach()
    torch.testing.assert_close(conv.bias.grad, of_scale * conv.bias.detach(), rtol=1e-4, atol=1e-7)
    assert not conv.weight.grad.any()
    return of_scale.tolist()


# --- ASSL: alignment ----------------------------------------------------------------------------------------------


def overlap(rows, removed):
    """Mean overlap of the soft masks of all pairs of layers, in plain numbers."""
    soft = [[1 / (1 + math.exp(-(value - sorted(row)[removed]))) for value in row] for row in rows]
    pairs = itertools.product(soft, soft)
    return sum(a * b for x, y in pairs for a, b in zip(x, y, strict=True)) / len(soft) ** 2


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_alignment_penalty_is_weight_times_minus_the_overlap_on_the_residual_stream(weight):
    """Of all layers that write the stream, and of no others (ASSL, section 3.3)."""
    phase = assl(ssa_weight=weight).phases()[0]
    network = phase.begin(network_of())
    for layer in STREAM + FREE:
        set_scales(network, layer, torch.randn(8).tolist())
    penalty = phase.penalty(network, 1)
    assert float(penalty.detach()) == pytest.approx(-weight * overlap([scale(network, s).tolist() for s in STREAM], 5))
    penalty.backward()
    assert all(scale(network, layer).grad.any() for layer in STREAM)
    assert all(scale(network, layer).grad is None for layer in FREE)


def test_the_channels_are_picked_anew_from_what_alignment_made_of_the_scales():
    method = assl()
    ssa, grow, _ = method.phases()
    network = ssa.begin(network_of())
    for layer in ("head.0", "body.1.body.0"):
        set_scales(network, layer, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0][::-1])
    grow.begin(network)
    assert method.kept["head.0"] == method.kept["body.1.body.0"] == [0, 1, 2]


def test_a_scale_far_below_zero_is_as_important_as_one_far_above():
    method = assl()
    ssa, grow, _ = method.phases()
    network = ssa.begin(network_of())
    for layer in ("head.0", "body.0.body.0"):
        set_scales(network, layer, [0.1, -9.0, 0.2, 7.0, -0.3, 0.4, -8.0, 0.5])
    grow.begin(network)
    assert method.kept["head.0"] == method.kept["body.0.body.0"] == [1, 3, 6]


# --- ASSL: regularisation -----------------------------------------------------------------------------------------


def run_phase(phase, network):
    """What the last step of the phase added to the gradients."""
    network = phase.begin(network)
    for step in range(1, phase.steps + 1):
        no_gradients(network)
        phase.adjust_gradients(network, step)
    return network


def test_the_removed_channels_are_penalised_and_the_kept_ones_are_not():
    """Growing: coefficients of 0.1, 0.2 and 0.3 (the limit of 0.25 is exceeded), on all layers of all groups."""
    method = assl()
    ssa, grow, _ = method.phases()
    network = ssa.begin(network_of())
    grow.begin(network)
    seen = []
    for step in range(1, grow.steps + 1):
        no_gradients(network)
        grow.adjust_gradients(network, step)
        seen.append(max(coefficients(network, "head.0")))
    assert seen == pytest.approx([0, 0.1, 0.1, 0.2, 0.2, 0.3], abs=1e-6)
    for layer in STREAM + FREE:
        kept = method.kept["head.0" if layer in STREAM else layer]
        assert len(kept) == 3
        expected = [0.0 if channel in kept else 0.3 for channel in range(8)]
        assert coefficients(network, layer) == pytest.approx(expected, abs=1e-6)


def test_alignment_already_penalises_the_layers_with_channels_of_their_own():
    method = assl()
    network = run_phase(method.phases()[0], network_of())
    for layer in FREE:
        kept = method.kept[layer]
        expected = [0.0 if channel in kept else 0.2 for channel in range(8)]  # 4 steps, one increment every 2
        assert coefficients(network, layer) == pytest.approx(expected, abs=1e-6)
    for layer in STREAM:
        assert not any(coefficients(network, layer))


def test_stabilising_keeps_the_coefficients_where_growing_left_them():
    method = assl()
    ssa, grow, stabilise = method.phases()
    network = run_phase(grow, run_phase(ssa, network_of()))
    grown = {layer: coefficients(network, layer) for layer in STREAM + FREE}
    for step in range(1, stabilise.steps + 1):
        no_gradients(network)
        stabilise.adjust_gradients(network, step)
        for layer in STREAM + FREE:
            assert coefficients(network, layer) == pytest.approx(grown[layer])
    assert max(grown["head.0"]) == pytest.approx(0.3)


# --- GASSL --------------------------------------------------------------------------------------------------------


def test_hair_penalises_every_filter_of_every_layer_alike():
    settings = GasslSettings("gassl", ratio=0.5, hair_interval=1, hair_granularity=0.01, hair_limit=0.03)
    hair = Gassl(settings, network_of).phases()[0]
    network = run_phase(hair, network_of())
    normalised = [name for name, conv in convolutions(network).items() if isinstance(conv, WeightNormConv2d)]
    assert set(normalised) >= {*STREAM, *FREE}
    for layer in STREAM + FREE:
        assert coefficients(network, layer) == pytest.approx([0.04] * 8, rel=1e-5)


def test_without_alignment_steps_gassl_grows_at_once_on_the_first_layers_channels():
    """The authors' command lines for the main benchmark omit SSA: recipes paper/gassl_*."""
    settings = GasslSettings("gassl", ratio=0.5, round_to=1, ssa_steps=0, interval=1, granularity=0.3)
    method = Gassl(settings, network_of)
    hair, ssa, *_ = method.phases()
    assert ssa.steps == 0
    ssa.begin(hair.begin(network_of()))
    first = scale(method.phases()[1].begin(hair.begin(network_of())), "head.0").abs()
    count = method.counts["head.0"]
    assert method.kept["head.0"] == sorted(first.topk(count).indices.tolist())


def test_gassl_prunes_every_layer_to_the_width_that_hair_found():
    """Half of all 48 scales go: 4 of 8 in every layer of the stream, 2 and 6 in the two layers beside it."""
    settings = GasslSettings("gassl", ratio=0.5, round_to=1, hair_interval=1, hair_granularity=0.01, hair_limit=0.03)
    method = Gassl(settings, network_of)
    hair, ssa, *_ = method.phases()
    network = hair.begin(network_of())
    for layer in STREAM + FREE:
        small = {"body.0.body.0": 2, "body.1.body.0": 6}.get(layer, 4)
        set_scales(network, layer, [0.1] * small + [5.0] * (8 - small))
    ssa.begin(network)
    widths = {"head.0": 4, "body.0.body.0": 6, "body.1.body.0": 2}
    assert method.counts == widths
    assert {name: len(kept) for name, kept in method.kept.items()} == widths


# --- SMSR ---------------------------------------------------------------------------------------------------------


def drawn_masks(phase, network, step, images):
    phase.before_forward(network, step)
    with torch.no_grad():
        output = network(images)
    return output, [float(block.activity) for block in mask_blocks(network)]


def test_masks_are_drawn_anew_at_every_step_and_the_same_when_a_step_is_repeated():
    torch.manual_seed(0)
    network = build("smsr", 2, channels=8, blocks=2).train()
    images = torch.rand(2, 3, 8, 8) * 255
    settings = SmsrSettings("smsr", least_temperature=1.0)  # nothing but the noise may differ
    phase = Smsr(settings, seed=3).fine_tuning(9, lambda _: 1.0)
    runs = [drawn_masks(phase, network, step, images) for step in (1, 2, 3, 1)]
    for first, second in itertools.combinations(runs[:3], 2):
        assert not torch.equal(first[0], second[0])
        assert first[1] != second[1]
    assert torch.equal(runs[0][0], runs[3][0])
    other = Smsr(settings, seed=4).fine_tuning(9, lambda _: 1.0)
    assert not torch.equal(drawn_masks(other, network, 1, images)[0], runs[0][0])


def test_the_blocks_of_one_network_draw_masks_of_their_own():
    network = build("smsr", 2, channels=8, blocks=2).train()
    Smsr(SmsrSettings("smsr")).fine_tuning(9, lambda _: 1.0).before_forward(network, 5)
    first, second = (block.relaxation for block in mask_blocks(network))
    logits = torch.zeros(1, 2, 6, 6)
    assert not torch.equal(first.softmax(logits, 1, shared=False), second.softmax(logits, 1, shared=False))


def test_the_sparsity_weight_and_the_temperature_follow_the_step():
    network = build("smsr", 2, channels=8, blocks=1).train()
    settings = SmsrSettings("smsr", sparsity_weight=0.3, warm_up_steps=10, cool_down_steps=20)
    phase = Smsr(settings).fine_tuning(99, lambda _: 1.0)
    for step, weight, temperature in ((1, 0.0, 1.0), (6, 0.15, 0.75), (11, 0.3, 0.5), (99, 0.3, 0.4)):
        _, (activity,) = drawn_masks(phase, network, step, torch.rand(1, 3, 6, 6) * 255)
        assert float(phase.penalty(network, step)) == pytest.approx(weight * activity)
        assert mask_blocks(network)[0].relaxation.temperature == pytest.approx(temperature)


@pytest.mark.parametrize(("logits", "negative"), [("uniform", 0.0), ("normal", 0.5)])
def test_channel_masks_start_as_the_code_does_or_as_the_paper_says(logits, negative):
    torch.manual_seed(0)
    network = build("smsr", 2, channels=32, blocks=2)
    phase = Smsr(SmsrSettings("smsr", channel_logits=logits)).fine_tuning(1, lambda _: 1.0)
    values = torch.cat([block.ch_mask.flatten() for block in mask_blocks(phase.begin(network))])
    assert float((values < 0).float().mean()) == pytest.approx(negative, abs=0.05)


# --- SLS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ordered", "expected"), [(True, [1, 0, 0, 0]), (False, [1, 0, 1, 1])])
def test_priorities_are_products_in_order_or_single_scores(ordered, expected):
    """SLS, section 3.2: ordered, a shut gate drags those behind it along; the ablation takes each score by itself."""
    method = Sls(SlsSettings("sls", m=4, ordered=ordered))
    network = method.phases()[0].begin(network_of())
    conv = next(iter(sparse_convolutions(network).values()))
    with torch.no_grad():
        conv.scores.copy_(torch.tensor([0.4, 0.9, 0.8]))
    assert conv.gates().tolist() == expected


def surviving(network, layers):
    """Weights other than zero of the stored network, counted by themselves."""
    return {name: int(np.count_nonzero(conv.weight.detach().numpy())) for name, conv in layers(network).items()}


@pytest.mark.parametrize("m", [4, 8, 16, 32])
@pytest.mark.parametrize("channels", [33, 38, 50, 63, 64, 65])
def test_the_cost_is_the_multiply_adds_that_survive_for_any_width(channels, m):
    """Last groups with fewer than M inputs have no weights of the higher ranks, whose gates then cost nothing."""
    torch.manual_seed(channels)
    dense = build("rfdn", 2, channels=channels, blocks=1, attention=m)
    method = Sls(SlsSettings("sls", m=m))
    network = method.phases()[0].begin(dense)
    gated = sparse_convolutions(network)
    random = np.random.default_rng(m)
    for conv in gated.values():
        conv.set_n(int(random.integers(1, m + 1)))
    with torch.no_grad():
        for conv in gated.values():  # no weight is zero by chance
            conv.weight.add_(torch.where(conv.weight < 0, -1e-3, 1e-3))
        for conv in gated.values():
            conv.update_ranks()
    pixels = {}
    hooks = [
        conv.register_forward_hook(lambda _, __, out, name=name: pixels.__setitem__(name, out[0, 0].numel()))
        for name, conv in gated.items()
    ]
    with torch.no_grad():
        network(torch.zeros(1, 3, 48, 48))
    for hook in hooks:
        hook.remove()
    left = surviving(method.deployed(network), convolutions)
    counted = sum(left[name] * pixels[name] for name in gated)
    assert float(method.cost(network).detach()) == pytest.approx(counted, rel=1e-5)
    whole = sum(conv.weight.numel() * pixels[name] for name, conv in gated.items())
    assert method.dense_cost(network) == pytest.approx(whole, rel=1e-9)


def test_a_budget_met_by_the_cost_is_met_by_the_weights_of_partial_groups():
    """50 inputs are 32 + 18: gates beyond the 18th shut nothing in the last group."""
    torch.manual_seed(0)
    method = Sls(SlsSettings("sls", budget=0.25, exact=True))
    network = method.phases()[0].begin(build("rfdn", 4, channels=50, blocks=2))
    method.settle(network)
    plain, dense = method.deployed(copy.deepcopy(network)), convolutions(network)
    names = list(sparse_convolutions(network))  # all of them on the whole map
    kept = sum(int(convolutions(plain)[name].weight.count_nonzero()) for name in names)
    assert kept <= 0.25 * sum(dense[name].weight.numel() for name in names)


def test_an_exact_budget_is_spent_to_the_last_gate_once_it_is_reached():
    """The published method stops somewhere below it."""
    method = Sls(SlsSettings("sls", m=4, budget=0.6, exact=True))
    phase = method.phases()[0]
    network = phase.begin(network_of())
    for conv in sparse_convolutions(network).values():
        conv.set_n(2)
    phase.adjust_gradients(network, 1)
    gate = max(float(steps.max()) for steps in method._costs(network).values()) / method.dense_cost(network)
    assert 0.6 - gate < float(method.cost(network).detach()) / method.dense_cost(network) <= 0.6


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_scores_move_so_many_times_faster_than_weights(gain):
    method = Sls(SlsSettings("sls", m=4, score_gain=gain))
    network = method.phases()[0].begin(network_of())
    conv = next(iter(sparse_convolutions(network).values()))
    with torch.no_grad():
        conv.scores.sub_(0.1)
    assert float(conv.priorities()[0].detach()) == pytest.approx(1 - 0.1 * gain)
