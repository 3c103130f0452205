from __future__ import annotations

import copy
import json

import pytest
import torch
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import GROUP_SIZES
from sparsr.train.networks import build
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.nm import ranks
from sparsr.train.pruning.settings import OneShotSettings, SlsSettings, SrSteSettings
from sparsr.train.pruning.sls import OneShot, Sls, SrSte, deployed, with_gates
from sparsr.train.pruning.sparse_conv import SparseConv2d, add_gates, sparse_convolutions
from sparsr.train.run import checkpoint
from tests.train.workshop import make_recipe, run_all


def random_conv(inputs, outputs, m, side=3, seed=0):
    torch.manual_seed(seed)
    return SparseConv2d(torch.nn.Conv2d(inputs, outputs, side, padding=side // 2), m)


def small_network(channels=16, blocks=2):
    torch.manual_seed(1)
    return build("edsr", 2, channels=channels, blocks=blocks)


def priorities(k, ordered=True):
    """p of ranks 1, 2, ... written out."""
    clamped = [min(max(float(value), 0.0), 1.03) for value in k]
    if not ordered:
        return clamped
    result, product = [], 1.0
    for value in clamped:
        product *= value
        result.append(product)
    return result


def test_at_the_start_all_gates_are_open_and_units_are_equally_large():
    conv = random_conv(64, 64, 32)
    assert conv.n() == 32
    assert torch.equal(conv.gated_weight(), conv.weight)
    assert [int((conv.rank == rank).sum()) for rank in range(32)] == [1152] * 32


@pytest.mark.parametrize("m", GROUP_SIZES)
@pytest.mark.parametrize("ordered", [True, False])
def test_gates_and_their_gradient_are_those_of_materialised_units(m, ordered):
    conv = random_conv(2 * m + 3, 6, m, seed=m)
    conv.ordered.fill_(ordered)
    k = torch.rand(m - 1, generator=torch.Generator().manual_seed(m)) * 0.5 + 0.6
    with torch.no_grad():
        conv.scores.copy_(k)
    # The mask as the paper writes it: unit_1 + sum of b_i unit_i, every unit a tensor of its own.
    units = [(ranks(conv.weight, m) == rank).float() for rank in range(m)]
    p = priorities(k, ordered)
    mask = units[0] + sum(float(value > 0.5) * unit for value, unit in zip(p, units[1:], strict=True))
    assert torch.equal(conv.gated_weight(), conv.weight * mask)
    assert conv.n() == 1 + sum(value > 0.5 for value in p)

    x = torch.randn(2, conv.in_channels, 5, 4)
    conv(x).square().sum().backward()
    weight = conv.weight.detach() * mask
    weight.requires_grad_()
    F.conv2d(x, weight, conv.bias.detach(), padding=1).square().sum().backward()
    # dL/dp_i = sum of dL/dW * w over the unit; p is differentiable in k where it is not clamped.
    to_p = torch.stack([(weight.grad * conv.weight.detach() * unit).sum() for unit in units[1:]])
    free = k.clone().requires_grad_()
    clamped = free.clamp(0, 1.03)
    ((clamped.cumprod(0) if ordered else clamped) * to_p).sum().backward()
    torch.testing.assert_close(conv.scores.grad, free.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(conv.weight.grad, weight.grad * mask, rtol=1e-4, atol=1e-4)


def test_a_score_above_one_can_open_a_gate_behind_a_shut_one():
    conv = random_conv(8, 4, 4)
    with torch.no_grad():
        conv.scores.copy_(torch.tensor([0.7, 0.71, 1.03]))  # p: 0.7, 0.497, 0.51
    assert conv.gates().tolist() == [1, 1, 0, 1]
    assert conv.n() == 3


def test_the_cost_is_that_of_the_paper():
    # methods' example: EDSR-baseline's sparse layers at 48x48, all gates open, is their number of multiply-adds
    network = with_gates(build("edsr", 4), 32)
    method = Sls(SlsSettings("sls"))
    body = (16 * 2 + 1) * 64 * 64 * 9 * 48**2
    tail = 64 * 256 * 9 * 48**2 + 64 * 256 * 9 * 96**2
    assert method.dense_cost(network) == float(method.cost(network).detach()) == body + tail
    sparse_convolutions(network)["body.16"].set_n(4)
    assert float(method.cost(network).detach()) == pytest.approx(body + tail - 28 / 32 * 64 * 64 * 9 * 48**2, rel=1e-6)


@pytest.mark.parametrize("m", GROUP_SIZES)
def test_what_is_deployed_is_n_of_m_and_computes_the_same(m):
    network = with_gates(small_network(32), m)
    for index, conv in enumerate(sparse_convolutions(network).values()):
        conv.set_n(1 + index % m)
    plain = deployed(network)
    assert not sparse_convolutions(plain)
    x = torch.rand(1, 3, 7, 9) * 255
    torch.testing.assert_close(plain(x), network(x), rtol=1e-5, atol=1e-4)
    for name, gated in sparse_convolutions(network).items():
        weight = convolutions(plain)[name].weight
        assert (weight.unflatten(1, (32 // m, m)).count_nonzero(2) == gated.n()).all()


def learn(network, method, steps):
    """Steps of the method's first phase, the network's own output at the start as the target."""
    original = copy.deepcopy(network)
    phase = (method.phases() or [method.fine_tuning(steps, lambda _: 1e-2)])[0]
    network = phase.begin(network)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(1, steps + 1):
        optimiser.zero_grad(set_to_none=True)
        penalty = phase.penalty(network, step) if phase.penalty else 0
        x = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(step)) * 255
        (F.l1_loss(network(x), original(x).detach()) + penalty).backward()
        phase.adjust_gradients(network, step)
        optimiser.step()
    return network


def test_sls_stops_at_the_budget_and_holds_it():
    method = Sls(SlsSettings("sls", m=16, budget=0.3, cost_weight=1e-6, update_every=1))
    network = learn(small_network(), method, 120)
    assert method.frozen
    share = float(method.cost(network)) / method.dense_cost(network)
    assert 0.1 < share < 0.3
    scores = {name: conv.scores.clone() for name, conv in sparse_convolutions(network).items()}
    ranks_before = {name: conv.rank.clone() for name, conv in sparse_convolutions(network).items()}
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-1)
    tune = method.fine_tuning(9, lambda _: 1e-2)
    assert tune.begin(network) is network  # the optimiser goes on
    for step in range(1, 10):
        optimiser.zero_grad()
        network(torch.rand(1, 3, 6, 6) * 255).square().mean().backward()
        assert all(conv.scores.grad is not None for conv in sparse_convolutions(network).values())
        tune.adjust_gradients(network, step)
        optimiser.step()
    convs = sparse_convolutions(network)
    assert all(torch.equal(scores[name], conv.scores) for name, conv in convs.items())
    assert any(not torch.equal(ranks_before[name], conv.rank) for name, conv in convs.items())


@pytest.mark.parametrize(("share", "steps"), [(1.0, [1, 2, 3, 4, 5, 6]), (0.5, [1, 2, 3]), (0.0, [])])
def test_weights_change_places_until_a_share_of_the_fine_tuning(share, steps):
    method = Sls(SlsSettings("sls", m=16, update_every=1, renew_share=share))
    network = method.phases()[0].begin(small_network())
    tune = method.fine_tuning(6, lambda _: 1e-2)
    conv = next(iter(sparse_convolutions(tune.begin(network)).values()))
    changed = []
    for step in range(1, 7):
        before = conv.rank.clone()
        with torch.no_grad():
            conv.weight.copy_(conv.weight.flip(1))
        tune.adjust_gradients(network, step)
        changed += [step] * (not torch.equal(before, conv.rank))
    assert changed == steps


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_the_fine_tuning_is_a_share(share):
    with pytest.raises(SparsrError, match="renew_share"):
        Sls(SlsSettings("sls", renew_share=share))


def test_the_penalty_grows_while_the_compression_does_not():
    settings = SlsSettings("sls", m=16, cost_weight=1.0, anneal=1.5, anneal_below=0.1, anneal_every=3)
    method = Sls(settings)
    network = with_gates(small_network(), 16)
    weights = []
    for step in range(1, 10):
        if step == 5:  # from 1 to 2 times: fast enough
            for conv in sparse_convolutions(network).values():
                conv.set_n(8)
        method._adjust(network, step)
        weights.append(method.annealing)
    assert weights == pytest.approx([1, 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 2.25])


def test_the_penalty_is_weight_times_cost():
    method = Sls(SlsSettings("sls", m=16, cost_weight=1e-10))
    network = with_gates(small_network(), 16)
    method.annealing = 1.3
    assert float(method._penalty(network, 1)) == pytest.approx(1.3e-10 * method.dense_cost(network))
    method.frozen = True
    assert float(method._penalty(network, 1)) == 0


def test_one_shot_keeps_its_mask():
    method = OneShot(OneShotSettings("one_shot", n=3, m=8))
    before = small_network()
    network = learn(before, method, 5)
    for name, conv in sparse_convolutions(network).items():
        expected = ranks(convolutions(before)[name].weight, 8) < 3
        assert torch.equal(conv.gated_weight() != 0, expected)
        assert conv.n() == 3


def test_sr_ste_is_the_published_update():
    method = SrSte(SrSteSettings("sr_ste", n=2, m=8, decay=0.01))
    network = method.fine_tuning(1, lambda _: 1.0).begin(small_network(blocks=1))
    x = torch.rand(1, 3, 6, 6) * 255
    network(x).square().mean().backward()
    # By hand: the gradient at the masked weights, for all weights, plus decay * (1 - mask) * w.
    plain = deployed(network)
    plain.zero_grad()
    plain(x).square().mean().backward()
    weights = {name: conv.weight.detach().clone() for name, conv in sparse_convolutions(network).items()}
    method._adjust(network, 1)
    for name, conv in sparse_convolutions(network).items():
        outside = ranks(weights[name], 8) >= 2
        expected = convolutions(plain)[name].weight.grad + 0.01 * weights[name] * outside
        torch.testing.assert_close(conv.weight.grad, expected, rtol=1e-4, atol=1e-4)
        assert conv.scores.grad is None
    with torch.no_grad():
        conv.weight.copy_(conv.weight.flip(1))
    conv.weight.grad = torch.zeros_like(conv.weight)
    for other in sparse_convolutions(network).values():
        other.weight.grad = torch.zeros_like(other.weight)
    method._adjust(network, 2)
    assert torch.equal(conv.rank, ranks(conv.weight, 8))


@pytest.mark.parametrize("method", ["one_shot", "sr_ste", "sls"])
def test_a_run_leaves_a_plain_network_with_n_of_m(workshop, tmp_path, method, capsys):
    chosen = make_recipe(workshop, method)
    run_all(chosen, tmp_path)
    network, card = checkpoint.load(tmp_path / "best.safetensors")
    assert card.gates == 0
    assert card.method == method
    m = chosen.prune.m
    for conv in convolutions(network).values():
        if conv.in_channels == 8 and conv.out_channels != 3:
            counts = conv.weight.unflatten(1, (8 // m, m)).count_nonzero(2)
            assert (counts == counts.flatten()[0]).all()
            assert method == "sls" or int(counts.max()) == chosen.prune.n
    if method == "sls":
        assert "not reached" not in capsys.readouterr().out


def test_measured_costs_are_followed_layer_by_layer(tmp_path):
    network = with_gates(small_network(blocks=1), 16)
    names = list(sparse_convolutions(network))
    seconds = {name: [n * (1 + i) for n in range(17)] for i, name in enumerate(names)}
    # From N = 8 on the first layer costs no more, however much is kept; a dip is a larger N run as a smaller one.
    seconds[names[0]] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 8, 8, 8, 8, 8, 8, 8]
    (tmp_path / "costs.json").write_text(json.dumps({"layers": seconds}))
    method = Sls(SlsSettings("sls", m=16, costs=str(tmp_path / "costs.json")))
    dense = method.dense_cost(network)
    assert dense == pytest.approx(Sls(SlsSettings("sls", m=16)).dense_cost(network))  # the same scale
    unit = dense / sum(costs[-1] for costs in seconds.values())
    convs = sparse_convolutions(network)
    convs[names[0]].set_n(8)
    assert float(method.cost(network)) == pytest.approx(dense, rel=1e-6)
    convs[names[1]].set_n(4)
    assert float(method.cost(network)) == pytest.approx(dense - 12 * 2 * unit, rel=1e-6)


def test_measured_costs_count_open_gates_wherever_they_are(tmp_path):
    network = with_gates(small_network(blocks=1), 4)
    convs = sparse_convolutions(network)
    (tmp_path / "costs.json").write_text(json.dumps({"layers": {name: [0, 4, 7, 9, 9] for name in convs}}))
    method = Sls(SlsSettings("sls", m=4, costs=str(tmp_path / "costs.json")))
    unit = method.dense_cost(network) / (9 * len(convs))
    with torch.no_grad():
        next(iter(convs.values())).scores.copy_(torch.tensor([0.7, 0.71, 1.03]))  # open, open, shut, open: N = 3
    assert float(method.cost(network).detach()) == pytest.approx(9 * len(convs) * unit)
    with torch.no_grad():
        next(iter(convs.values())).scores.copy_(torch.tensor([0.495, 1.03, 0.9]))  # open, shut, open, shut: N = 2
    assert float(method.cost(network).detach()) == pytest.approx((9 * len(convs) - 2) * unit)


def test_flat_costs_still_pull_gates_shut(tmp_path):
    network = with_gates(small_network(blocks=1), 4)
    convs = sparse_convolutions(network)
    (tmp_path / "costs.json").write_text(json.dumps({"layers": {name: [0, 4, 7, 9, 9] for name in convs}}))
    method = Sls(SlsSettings("sls", m=4, costs=str(tmp_path / "costs.json")))
    unit = method.dense_cost(network) / (9 * len(convs))
    first = next(iter(convs.values()))
    gates = first.gates().detach().requires_grad_()
    first.gates = lambda: gates
    method.cost(network).backward()
    # By hand: from 1, 2, 3 and 4 open gates the steepest ways down end at 0: 4, 7/2, 9/3 and 9/4 per gate.
    assert gates.grad.tolist() == pytest.approx([4 * unit, 3.5 * unit, 3 * unit, 2.25 * unit])


@pytest.mark.parametrize("content", ["", "{}", '{"layers": {"body.0.body.0": [1, 2]}}'])
def test_costs_of_another_network_are_refused(content, tmp_path):
    (tmp_path / "costs.json").write_text(content)
    method = Sls(SlsSettings("sls", m=16, costs=str(tmp_path / "costs.json")))
    with pytest.raises(SparsrError, match=r"costs\.json"):
        method.cost(with_gates(small_network(), 16))


def test_impossible_settings_are_named():
    with pytest.raises(SparsrError, match=r"prune\.budget is 1\.5"):
        Sls(SlsSettings("sls", budget=1.5))
    with pytest.raises(SparsrError, match="M is 5"):
        add_gates(small_network(), 5)
    with pytest.raises(SparsrError, match="no convolution of the network has 32"):
        add_gates(small_network(16), 32)


def test_gates_cost_a_byte_and_a_score_per_weight_and_rank():
    plain, gated = small_network(32), with_gates(small_network(32), 32)

    def size(network):
        return sum(t.numel() * t.element_size() for t in network.state_dict().values())

    weights = sum(conv.weight.numel() for conv in sparse_convolutions(gated).values())
    assert size(gated) - size(plain) < 1.1 * weights  # beside 4 bytes of the weight itself
