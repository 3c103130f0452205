"""`sparsr prune --method search`: every candidate meets the time, the worse ones go, a killed search goes on."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from test_prune import learning, order_for

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import build
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning import layer_costs, search, time_budget
from sparsr.train.pruning.channel_groups import channel_groups
from sparsr.train.pruning.layer_costs import Costs
from sparsr.train.pruning.time_budget import TimeBudget
from sparsr.train.run import checkpoint, trials
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.prune import prune, recipe_for


def cost_of(outputs, inputs, n, m, shared):
    """Seconds for a row: dense layers have a fast kernel, sparse ones gain by patterns that filters share."""
    dense = 0.5e-6 * outputs * inputs
    return dense if n == m else min(dense, 1e-6 * outputs * inputs * n / m / (1 + shared / 4))


@pytest.fixture
def machine(monkeypatch):
    """A machine with those costs."""

    def cost(inputs, outputs, side=3, sparsity=None, width=0, stride=1):
        n, m, shared = (sparsity.n, sparsity.m, sparsity.shared) if sparsity else (1, 1, 1)
        return SimpleNamespace(seconds=cost_of(outputs, inputs, n, m, shared))

    monkeypatch.setattr(layer_costs, "layer_cost", cost)


def seconds_of(network, shared, rows=9, m=8):
    """What the network takes: of layers with weights missing in every group the fullest group counts."""
    total = 0.0
    for conv in learning(network):
        groups = conv.weight.detach().split(m, dim=1)
        n = max(int(group.count_nonzero(1).max()) for group in groups)
        whole = conv.in_channels < m or conv.out_channels == 3
        total += rows * cost_of(conv.out_channels, conv.in_channels, m if whole else n, m, shared)
    return total


def test_every_candidate_meets_the_time(machine):
    torch.manual_seed(0)
    network = build("ledsr", 2, channels=32, blocks=2)
    dense = seconds_of(network, 1)
    found = search.candidates(network, TimeBudget(0.4 * dense, 16, 9), Costs(), ["tail*"])
    names = [candidate.name for candidate in found]
    # At half the width the dense network is already faster than asked for: nothing is left to be learned.
    assert names == [f"width{width}_v{shared}" for width in (100, 75) for shared in (1, 2, 4)] + ["channels"]
    for candidate in found:
        narrow = search.narrowed(network, candidate.channels)
        if not candidate.shared:
            assert 0.3 * dense < seconds_of(narrow, 1, m=64) <= 0.4 * dense
            continue
        rows = candidate.table["layers"]
        others = seconds_of(narrow, 1) - sum(row[-1] for row in rows.values())
        assert others + candidate.share * sum(row[-1] for row in rows.values()) == pytest.approx(0.4 * dense)
        m = candidate.table["m"]
        for name, row in rows.items():
            conv = convolutions(narrow)[name]
            expected = [9 * cost_of(conv.out_channels, conv.in_channels, n, m, candidate.shared) for n in range(m + 1)]
            assert row == pytest.approx([0, *expected[1:]]), name


def test_networks_and_times_that_leave_nothing_to_search_are_refused(machine):
    tiny = build("ledsr", 2, channels=3, blocks=1)
    with pytest.raises(SparsrError, match="no convolution to prune"):
        search.candidates(tiny, TimeBudget(1e-9, 16, 9), Costs(), ["*"])
    network = build("ledsr", 2, channels=8, blocks=1)
    for seconds, sentence in ((1.0, "no need to prune"), (1e-9, "cannot be met")):
        with pytest.raises(SparsrError) as error:
            search.candidates(network, TimeBudget(seconds, 16, 9), Costs(), ["tail*"])
        assert sentence in f"{error.value} {error.value.hint}"


def test_after_every_round_the_worse_half_goes():
    quality = {"a": 1.0, "b": 5.0, "c": 3.0, "d": 4.0, "e": 2.0, "f": 0.0, "g": 4.5}
    lengths: dict[str, list[int]] = {name: [] for name in quality}

    def train(name, steps):
        lengths[name].append(steps)
        return quality[name] + (2 if (name, steps) == ("c", 800) else 0)

    said: list[str] = []
    chosen, rounds = search.best(list(quality), 6400, train, said.append)
    assert chosen == "b"
    assert {name for name, steps in lengths.items() if steps == [400, 800]} == {"b", "d", "g"}
    assert all(lengths[name] == [400] for name in "acef")
    assert [(one.steps, set(one.psnr)) for one in rounds] == [(400, set(quality)), (800, {"b", "g", "d"})]
    assert len(said) == 2 and said[1].startswith("after 800 steps, dB: b 5.000, g 4.500")
    assert search.best(["only"], 6400, train, said.append) == ("only", [])
    # No trial is longer than the training it stands for.
    assert [one.steps for one in search.best(list("abcd"), 150, lambda *_: 0.0, said.append)[1]] == [150, 150]


def test_a_killed_search_goes_on_bit_for_bit(workshop, tmp_path, machine, monkeypatch):
    monkeypatch.setattr(search, "_FIRST_STEPS", 4)
    dense, _ = checkpoint.load(workshop / "dense.safetensors")
    time = TimeBudget(0.6 * seconds_of(dense, 1), 16, 9)
    order = order_for(workshop, method="search", budget=0.0, within=time, unlabelled=True)
    whole = prune(workshop / "dense.safetensors", order, tmp_path / "whole", device="cpu")
    network, card = checkpoint.load(whole)
    lost = card.training["pruned_from"]
    shared = int(lost["search"]["chosen"][-1]) if card.method == "sls" else 1
    assert 0.45 * time.seconds < seconds_of(network, shared) <= time.seconds
    assert lost["milliseconds"] == pytest.approx(1e3 * seconds_of(network, shared), rel=1e-3)
    first = lost["search"]["rounds"][0]["psnr"]
    assert lost["search"]["chosen"] in first and len(first) > 2
    assert not list((tmp_path / "whole" / "trial").iterdir())

    original = trials.train
    for deadly in (3, 5):  # in the middle of the first trial, then of the second
        asked: list[int] = []

        def dying(run, asked=asked, deadly=deadly):
            batch = run.data.batch

            def stop(*arguments):
                asked.append(1)
                if len(asked) == deadly:
                    raise KeyboardInterrupt
                return batch(*arguments)

            run.data.batch = stop
            original(run)

        monkeypatch.setattr(trials, "train", dying)
        with pytest.raises(KeyboardInterrupt):
            prune(workshop / "dense.safetensors", order, tmp_path / "parts", resume=deadly > 3, device="cpu")
    assert len(list((tmp_path / "parts" / "trial").iterdir())) == 1
    monkeypatch.setattr(trials, "train", original)
    # Costs are not measured again: a machine that is slower by now changes nothing.
    monkeypatch.setattr(layer_costs, "layer_cost", None)
    resumed = prune(workshop / "dense.safetensors", order, tmp_path / "parts", resume=True, device="cpu")
    again, other = checkpoint.load(resumed)
    assert other.training["pruned_from"] == lost
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    monkeypatch.setattr(trials, "train", None)  # what was tried is not tried again
    prune(workshop / "dense.safetensors", order, tmp_path / "parts", resume=True, device="cpu")


def test_channels_go_before_gates_are_learned(workshop, tmp_path):
    start = workshop / "dense.safetensors"
    dense, _ = checkpoint.load(start)
    group = next(g for g in channel_groups(dense) if g.prunable and len(g.writers) == 1 and "tail" not in g.name)
    order = order_for(workshop, channels={group.name: 4}, unlabelled=True)
    network, card = checkpoint.load(prune(start, order, tmp_path / "run", device="cpu"))
    (writer,) = group.writers
    sizes = convolutions(dense)[writer].weight.detach().abs().sum((1, 2, 3))
    assert card.training["kept"][group.name] == sorted(sizes.argsort(descending=True)[:4].tolist())
    pruned = convolutions(network)[writer].weight
    assert len(pruned) == 4 and 0 < pruned.count_nonzero() < pruned.numel()

    chosen = recipe_for(dense, tmp_path / "parts" / "dense.safetensors", order)
    checkpoint.save(tmp_path / "parts" / "dense.safetensors", *checkpoint.load(start))
    with prepare(chosen, tmp_path / "parts", False, "cpu") as run:
        batch = run.data.batch

        def stop(seed, step, *rest):
            if step == 14:
                raise KeyboardInterrupt
            return batch(seed, step, *rest)

        run.data.batch = stop
        with pytest.raises(KeyboardInterrupt):
            train(run)
    again, other = checkpoint.load(prune(start, order, tmp_path / "parts", resume=True, device="cpu"))
    assert other.training["kept"] == card.training["kept"]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_channels_meet_a_time_by_themselves(workshop, tmp_path, machine):
    dense, _ = checkpoint.load(workshop / "dense.safetensors")
    time = TimeBudget(0.6 * seconds_of(dense, 1, m=64), 16, 9)
    order = order_for(workshop, method="channels", budget=0.0, within=time, unlabelled=True)
    network, card = checkpoint.load(prune(workshop / "dense.safetensors", order, tmp_path / "run", device="cpu"))
    assert card.method == "l1" and all(conv.weight.count_nonzero() for conv in learning(network))
    assert 0.2 * time.seconds < seconds_of(network, 1, m=64) <= time.seconds


def test_costs_of_a_file(tmp_path, machine):
    layer = layer_costs.Layer(8, 4, 3, 1, 9, 16)
    costs = Costs(tmp_path / "costs.json")
    assert costs.row(layer, None) == cost_of(4, 8, 1, 1, 1)
    costs.save()
    assert json.loads((tmp_path / "costs.json").read_text()) == {"8 4 3 1 16 dense": cost_of(4, 8, 1, 1, 1)}
    (tmp_path / "costs.json").write_text('{"8 4 3 1 16 dense": 2.5}')
    assert Costs(tmp_path / "costs.json").row(layer, None) == 2.5
    for damage in ("[1]", "{", '{"a": null}'):
        (tmp_path / "costs.json").write_text(damage)
        with pytest.raises(SparsrError, match="holds no costs"):
            Costs(tmp_path / "costs.json")


def test_budgets_of_time_for_other_patterns_cost_more(machine):
    torch.manual_seed(0)
    network = build("ledsr", 2, channels=32, blocks=1)
    time = TimeBudget(0.5 * seconds_of(network, 1), 16, 9)
    tables = [time_budget.share(network, 8, shared, time, Costs())[1]["layers"]["body.1"] for shared in (1, 4)]
    assert tables[0][2] == pytest.approx(tables[1][2] * 2 / 1.25)
