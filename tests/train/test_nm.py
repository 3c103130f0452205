from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import Sparsity
from sparsr.train.networks import build
from sparsr.train.networks.weight_norm import add_weight_norm
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.nm import prune_by_magnitude, ranks
from tests.small_networks import disturb, small


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([4, 8, 16, 32]), st.integers(1, 70), st.integers(1, 5), st.sampled_from([1, 3]), st.integers(0, 9)
)
def test_ranks_order_every_group_by_magnitude(m, inputs, outputs, side, seed):
    # few different values, so that ties happen
    weight = torch.from_numpy(np.random.default_rng(seed).integers(-3, 4, (outputs, inputs, side, side))).float()
    rank = ranks(weight, m)
    assert rank.dtype == torch.uint8
    for start in range(0, inputs, m):
        part, order = weight[:, start : start + m].abs(), rank[:, start : start + m].long()
        size = part.shape[1]
        assert torch.equal(order.sort(dim=1).values[:, :, 0, 0], torch.arange(size).expand(outputs, size))
        by_rank = part.gather(1, order.argsort(dim=1))
        assert torch.equal(by_rank, part.sort(dim=1, descending=True).values)


def test_pruning_keeps_the_largest_and_spares_first_and_last():
    network = disturb(build("edsr", 4, channels=64, blocks=1))
    before = copy.deepcopy(network)
    chosen = prune_by_magnitude(network, Sparsity(4, 32))
    convs = convolutions(network)
    assert set(convs) - set(chosen) == {"sub_mean", "add_mean", "head.0", "tail.1"}
    for name, old in convolutions(before).items():
        new = convs[name].weight
        if name not in chosen:
            assert torch.equal(new, old.weight)
            continue
        kept = new != 0
        assert torch.equal(new[kept], old.weight[kept])
        per_group = kept.unflatten(1, (2, 32)).sum(2)
        assert (per_group == 4).all()
        dropped = (old.weight.abs() * ~kept).unflatten(1, (2, 32)).amax(2)
        smallest = old.weight.abs().masked_fill(~kept, np.inf).unflatten(1, (2, 32)).amin(2)
        assert (dropped <= smallest).all()
    assert torch.equal(convs["head.0"].bias, convolutions(before)["head.0"].bias)


def test_single_layers_can_be_overridden():
    network = disturb(build("edsr", 2, channels=32, blocks=2))
    overrides = {"body.*": Sparsity(8, 32), "body.1.body.2": None, "tail.1": Sparsity(1, 4)}
    chosen = prune_by_magnitude(network, Sparsity(2, 32), overrides)
    assert chosen["body.0.body.0"] == Sparsity(8, 32)
    assert "body.1.body.2" not in chosen
    assert chosen["tail.1"] == Sparsity(1, 4)
    assert chosen["tail.0.0"] == Sparsity(2, 32)


def test_a_pattern_that_fits_nothing_is_an_error():
    with pytest.raises(SparsrError, match=r"no convolution is called bodi\.\*"):
        prune_by_magnitude(small("edsr", 2), Sparsity(2, 32), {"bodi.*": None})


def test_weight_norm_is_merged_first():
    network = build("ledsr", 2, channels=32, blocks=1)
    add_weight_norm(network)
    with torch.no_grad():
        for module in network.modules():
            if hasattr(module, "wn_scale"):
                module.wn_scale.mul_(torch.linspace(0.5, 2, len(module.wn_scale)))
    plain = copy.deepcopy(network)
    prune_by_magnitude(plain, Sparsity(32, 32))
    x = torch.rand(1, 3, 9, 7) * 255
    torch.testing.assert_close(plain(x), network(x), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("text", ["", "4", "4:33", "0:32", "33:32", "4:32:1", "a:32", "-1:4", "4:32x3"])
def test_what_is_no_sparsity(text):
    with pytest.raises(SparsrError, match="is not a sparsity"):
        Sparsity.parse(text)


def test_sparsity_reads_what_it_writes():
    assert Sparsity.parse(str(Sparsity(3, 16))) == Sparsity(3, 16)


def test_grouped_convolutions_need_a_whole_group_of_their_own():
    network = nn.Sequential(nn.Conv2d(64, 64, 3, groups=4), nn.Conv2d(64, 64, 3, groups=2))
    assert list(prune_by_magnitude(network, Sparsity(4, 32))) == ["1"]


@pytest.mark.parametrize("shared", [2, 4])
@pytest.mark.parametrize("outputs, inputs", [(8, 8), (7, 11), (1, 4)])
def test_filters_that_share_a_pattern_rank_by_the_sum_of_their_magnitudes(shared, outputs, inputs):
    weight = torch.randn(outputs, inputs, 3, 1, generator=torch.Generator().manual_seed(outputs))
    rank = ranks(weight, 4, shared)
    for first in range(0, outputs, shared):
        together = weight[first : first + shared].abs().sum(0, keepdim=True)
        for member in rank[first : first + shared]:
            assert torch.equal(member, ranks(together, 4)[0])


def test_one_shot_with_shared_patterns_leaves_the_same_places_to_four_filters():
    network = torch.nn.Sequential(torch.nn.Conv2d(8, 10, 3))
    assert prune_by_magnitude(network, Sparsity.parse("2:8x4")) == {"0": Sparsity(2, 8, 4)}
    kept = network[0].weight != 0
    assert all(torch.equal(kept[i], kept[i // 4 * 4]) for i in range(10))
    assert (kept.sum(1) == 2).all()
    assert str(Sparsity.parse("2:8x4")) == "2:8x4" and Sparsity.parse("2:8x1") == Sparsity(2, 8)
