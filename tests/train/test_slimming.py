from __future__ import annotations

import pytest
import torch
from torch import nn

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork, build
from sparsr.train.networks.base import conv3x3
from sparsr.train.networks.weight_norm import WeightNormConv2d, add_weight_norm, merge_weight_norm
from sparsr.train.networks.widths import convolutions, fit_slopes, resize, widths
from sparsr.train.pruning.channel_groups import channel_groups
from sparsr.train.pruning.slimming import mask, round_up, selected, slim
from tests.small_networks import EVERY_NETWORK, disturb, image, random_kept, small
from tests.toy_networks import Grouped, every_toy


def largest_difference(first: SRNetwork, second: SRNetwork, height: int, width: int) -> float:
    """As a fraction of the full range."""
    x = image(first, height, width)
    with torch.no_grad():
        return float((first(x) - second(x)).abs().max()) / first.value_range


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_the_slimmed_network_equals_the_masked_one(architecture, scale, seed, weight_norm):
    network = small(architecture, scale, seed)
    if weight_norm:
        add_weight_norm(network)
    disturb(network)
    kept = random_kept(network, seed)
    slimmed = slim(network, kept)
    assert largest_difference(slimmed, mask(network, kept), 11, 8) <= 1e-5
    assert largest_difference(slimmed, network, 11, 8) > 1e-5
    assert sum(p.numel() for p in slimmed.parameters()) < sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("structure", every_toy())
@pytest.mark.parametrize("seed", range(4))
def test_odd_structures_slim_exactly(structure, seed):
    torch.manual_seed(seed)
    network = every_toy()[structure].eval()
    kept = random_kept(network, seed)
    assert largest_difference(slim(network, kept), mask(network, kept), 17, 20) <= 1e-5


@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_a_network_rebuilt_from_widths_and_weights_equals_the_slimmed_one(architecture, scale):
    network = small(architecture, scale)
    slimmed = slim(network, random_kept(network, 3))
    rebuilt = build(architecture, scale, **slimmed.options).eval()
    resize(rebuilt, widths(slimmed))
    fit_slopes(rebuilt, slimmed.state_dict())
    rebuilt.load_state_dict(slimmed.state_dict())
    assert largest_difference(rebuilt, slimmed, 9, 9) == 0


def test_masking_zeroes_exactly_the_removed_filters():
    network = small("edsr", 2)
    add_weight_norm(network)
    masked = convolutions(mask(network, {"head.0": [0, 1, 3], "tail.0.0": [0, 2]}))
    for name, conv in convolutions(network).items():
        removed = torch.zeros(conv.out_channels, dtype=torch.bool)
        if name in ("head.0", "body.0.body.2", "body.1.body.2", "body.2.body.2", "body.3"):
            removed[[2, 4, 5, 6, 7, 8, 9]] = True
        if name == "tail.0.0":
            removed[[4, 5, 6, 7, *range(12, 40)]] = True
        for key, parameter in conv.named_parameters():
            expected = parameter.clone()
            expected[removed] = 0
            assert torch.equal(getattr(masked[name], key), expected), (name, key)


def test_the_order_of_kept_indices_does_not_matter():
    network = small("ledsr", 2)
    first, second = slim(network, {"head.0": [7, 2, 5]}), slim(network, {"head.0": [2, 5, 7]})
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    original = convolutions(network)
    assert torch.equal(first.get_submodule("head.0").weight, original["head.0"].weight[[2, 5, 7]])
    assert torch.equal(first.get_submodule("body.3").weight, original["body.3"].weight[[2, 5, 7]][:, [2, 5, 7]])


def test_slimming_keeps_weight_norm_and_its_function():
    network = small("ledsr", 2)
    add_weight_norm(network)
    slimmed = slim(network, {"head.0": [0, 1, 2, 3], "body.1.body.0": [4]})
    conv = slimmed.get_submodule("body.1.body.0")
    assert isinstance(conv, WeightNormConv2d)
    assert conv.wn_scale.shape == (1,)
    merge_weight_norm(slimmed)
    merge_weight_norm(network)
    assert largest_difference(slimmed, slim(network, {"head.0": [0, 1, 2, 3], "body.1.body.0": [4]}), 8, 8) <= 1e-6


@pytest.mark.parametrize(("scale", "parameters"), [(2, 692_412), (3, 698_907), (4, 708_000)])
def test_ledsr_slimmed_to_48_channels_has_the_published_size(scale, parameters):
    network = build("ledsr", scale)
    kept = {group.name: range(48) for group in channel_groups(network) if group.prunable}
    slimmed = slim(network, kept)
    assert sum(p.numel() for p in slimmed.parameters()) == parameters + 24  # 24: the mean shifts


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"head": [0]}, "no channel group head"),
        ({"head.0": []}, "cannot keep"),
        ({"head.0": [0, 0]}, "cannot keep"),
        ({"head.0": [10]}, "cannot keep"),
        ({"head.0": [-1]}, "cannot keep"),
        ({"tail.1": [0, 1]}, "colours of the network's output"),
        ({"sub_mean": [0, 1]}, "colours of the network's input"),
    ],
)
def test_impossible_selections_are_refused(kept, message):
    with pytest.raises(SparsrError, match=message):
        slim(small("edsr", 2), kept)
    with pytest.raises(SparsrError, match=message):
        mask(small("edsr", 2), kept)


def test_a_grouped_convolution_that_cannot_be_sliced_is_named():
    network = Grouped(first=conv3x3(8, 8, groups=2), second=conv3x3(8, 8))
    with pytest.raises(SparsrError, match="convolution first cannot be sliced: its 2 groups would keep 2, 1 channels"):
        slim(network, {"head": [0, 3, 4]})


@pytest.mark.parametrize(
    ("count", "multiple", "size", "expected"),
    [
        (49, 4, 256, 52),
        (48, 4, 256, 48),
        (1, 4, 64, 4),
        (7, 4, 7, 7),
        (13, 1, 64, 13),
        (45, 16, 50, 48),
        (49, 16, 50, 50),
    ],
)
def test_counts_are_rounded_up_within_the_group(count, multiple, size, expected):
    assert round_up(count, multiple, size) == expected


def test_selection_keeps_the_best_equally_in_every_block():
    network: nn.Module = Grouped(first=conv3x3(8, 8, groups=2), second=conv3x3(8, 8))
    head, first, second = channel_groups(network)[:3]
    scores = [9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0]
    assert selected(head, scores, 3, 1) == (0, 1, 6, 7)
    assert selected(second, scores, 3, 1) == (0, 1, 2)
    assert selected(second, scores, 3) == (0, 1, 2, 3)
    assert selected(second, [1.0] * 8, 2, 1) == (0, 1)
    slim(network, {"head": selected(head, scores, 5, 1), "first": selected(first, scores, 1)})
    with pytest.raises(SparsrError, match="8 units"):
        selected(head, scores[:7], 3)
