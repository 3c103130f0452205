"""`sparsr prune`: the target is the dense network's output, the budget holds, nothing untrained is called pruned."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from small_networks import small
from test_train_cli import assert_clear, command  # noqa: F401 - a fixture
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.train.cli import build_parser
from sparsr.train.networks import build
from sparsr.train.networks.base import ColourMap
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning import budget, layer_costs, time_budget
from sparsr.train.pruning.l1 import L1
from sparsr.train.pruning.settings import L1Settings, OneShotSettings, SlsSettings
from sparsr.train.pruning.sls import OneShot, Sls, increments, with_gates
from sparsr.train.pruning.sparse_conv import sparse_convolutions
from sparsr.train.pruning.time_budget import TimeBudget
from sparsr.train.run import checkpoint, distillation
from sparsr.train.run.loop import compute_gradients, phases, train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.prune import Order, prune, recipe_for


def naive_macs(network, side=32):
    """Multiply-adds of weights other than zero, counted while the network really runs."""
    total = 0

    def count(module, _, output):
        nonlocal total
        total += int((module.weight != 0).sum()) * output.shape[2] * output.shape[3]

    hooks = [conv.register_forward_hook(count) for name, conv in convolutions(network).items() if "mean" not in name]
    with torch.no_grad():
        network.eval()(torch.rand(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return total


def order_for(workshop, **changes):
    settings = {"budget": 0.5, "method": "sls", "pictures": workshop / "images", "steps": 20, "patch": 8, "batch": 2}
    return Order(**settings | changes)


def first_loss(workshop, tmp_path, share):
    chosen = recipe_for(small("ledsr", 2), workshop / "dense.safetensors", order_for(workshop, hr_share=share))
    with prepare(chosen, tmp_path / f"run{share}", False, "cpu") as run:
        run.network = phases(run)[0].begin(run.network)
        run.position.total = run.position.step = 1
        phase = phases(run)[1]
        return float(compute_gradients(run, phase, run.network)[0].detach()), run


def test_the_target_is_the_dense_networks_output(workshop, tmp_path):
    # Before the first step the network is the teacher: what learned from HR instead would not begin at 0.
    nothing, run = first_loss(workshop, tmp_path, 0.0)
    assert nothing < 1e-4
    lr, hr = run.data.batch(1, 1, 2)
    assert hr is not None and run.teacher is not None
    teacher_to_hr = float(F.l1_loss(run.teacher(lr), hr))
    assert teacher_to_hr > 1
    half, _ = first_loss(workshop, tmp_path, 0.5)
    assert half == pytest.approx(0.5 * teacher_to_hr, rel=1e-5)


def test_the_loss_mixes_both_targets_and_ignores_hr_without_a_share():
    torch.manual_seed(0)
    teacher = distillation.as_teacher(small("rfdn", 2))
    lr, hr, output = torch.rand(1, 3, 16, 16) * 255, torch.rand(1, 3, 32, 32) * 255, torch.rand(1, 3, 32, 32) * 255
    target = teacher(lr)
    assert torch.allclose(distillation.loss(output, lr, None, teacher, 1.0), (output - target).abs().mean())
    mixed = 0.3 * (output - target).abs().mean() + 0.7 * (output - hr).abs().mean()
    assert torch.allclose(distillation.loss(output, lr, hr, teacher, 0.3), mixed)


@pytest.mark.parametrize("method", ["sls", "nm", "channels"])
def test_unlabelled_pictures_suffice_and_a_killed_run_goes_on_bit_for_bit(method, workshop, tmp_path):
    order = order_for(workshop, method=method, unlabelled=True)
    start = workshop / "dense.safetensors"
    whole = prune(start, order, tmp_path / "whole", device="cpu")
    network, card = checkpoint.load(whole)
    dense, _ = checkpoint.load(start)
    share = naive_macs(network) / naive_macs(dense)
    lost = card.training["pruned_from"]
    assert lost["multiply_adds"] == pytest.approx(share, abs=1e-4)
    assert 0.4 < share <= 0.5
    assert lost["psnr_to_dense"] > 15 and "psnr_dense" not in lost
    assert (tmp_path / "whole" / "before_after.png").is_file()

    chosen = recipe_for(dense, tmp_path / "parts" / "dense.safetensors", order)
    checkpoint.save(tmp_path / "parts" / "dense.safetensors", *checkpoint.load(start))
    with prepare(chosen, tmp_path / "parts", False, "cpu") as run:
        original = run.data.batch

        def dying(seed, step, *rest):
            if step == 14:
                raise KeyboardInterrupt
            return original(seed, step, *rest)

        run.data.batch = dying  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            train(run)
    assert not (tmp_path / "parts" / "pruned.safetensors").exists()
    resumed, _ = checkpoint.load(prune(start, order, tmp_path / "parts", resume=True, device="cpu"))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_another_seed_sees_other_patches(workshop, tmp_path):
    def weights(seed, name):
        order = order_for(workshop, method="nm", seed=seed)
        network, _ = checkpoint.load(prune(workshop / "dense.safetensors", order, tmp_path / name, device="cpu"))
        return torch.cat([tensor.flatten() for tensor in network.state_dict().values()])

    first = weights(1, "first")
    assert torch.equal(first, weights(1, "again"))
    assert not torch.equal(first, weights(2, "other"))


def test_the_perceptual_share_is_structural_similarity():
    torch.manual_seed(0)
    teacher = distillation.as_teacher(small("compact", 1))
    lr = torch.rand(1, 3, 24, 31) * 255
    target = teacher(lr / 255) * 255
    output = target + 9 * torch.randn_like(target)
    pictures = [tensor[0].permute(1, 2, 0).double().numpy() for tensor in (output, target)]
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "win_size": 11}
    expected = structural_similarity(*pictures, channel_axis=2, data_range=255, **settings)
    assert float(distillation.similarity(output, target)) == pytest.approx(expected, abs=2e-3)
    missed = distillation.detail_missed(output, target)
    unlike = 1 - distillation.similarity(output, target) + 0.05 * missed
    mixed = 0.2 * (output - target).abs().mean() + 0.8 * 255 * unlike
    assert torch.allclose(distillation.loss(output, lr, None, teacher, 1.0, 0.8), mixed, rtol=1e-4)


def test_a_blurred_picture_misses_detail_and_a_brighter_one_does_not():
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (2, 3, 24, 31)).astype(np.float64)
    blurred = (sharp + np.roll(sharp, 1, 3)) / 2
    variation = [sum(np.abs(np.diff(x, axis=axis)).sum((1, 2, 3)) for axis in (2, 3)) for x in (blurred, sharp)]
    expected = np.abs(variation[0] - variation[1]).sum() / variation[1].sum()
    assert expected > 0.1
    pictures = [torch.from_numpy(x).float() for x in (blurred, sharp)]
    assert float(distillation.detail_missed(*pictures)) == pytest.approx(expected, rel=1e-5)
    assert float(distillation.detail_missed(pictures[1] + 9, pictures[1])) < 1e-5
    flat = torch.full((1, 3, 24, 31), 40.0)
    assert float(distillation.detail_missed(flat, flat)) == 0


def test_with_hr_the_card_tells_what_was_lost(workshop, tmp_path):
    path = prune(workshop / "dense.safetensors", order_for(workshop, method="nm"), tmp_path / "run", device="cpu")
    card = json.loads(path.with_suffix(".json").read_text())
    lost = card["training"]["pruned_from"]
    assert lost.keys() >= {"from", "sha256", "budget", "psnr_to_dense", "psnr_dense", "psnr_pruned"}
    # What is learned is what decides which step was the best.
    assert card["metrics"] == {"held-out, to the dense network": {"psnr_y": pytest.approx(lost["psnr_to_dense"])}}


def networks():
    torch.manual_seed(0)
    return {
        "rfdn": build("rfdn", 4),  # 50 channels: last groups of 18, 4 and 8
        "edsr": build("edsr", 2, blocks=4),
        "carn_m": build("carn_m", 4),  # grouped convolutions
    }


def pruned_by(method, network, share):
    if method == "channels":
        counts = budget.kept_channels(network, share, ["tail*"])
        return L1(L1Settings("l1", group_channels=counts, round_to=1, align="mean")).finish(network)
    m = budget.group_size(network)
    if method == "nm":
        one_shot = OneShot(OneShotSettings("one_shot", m=m, layers=budget.weights_per_group(network, m, share)))
        return one_shot.deployed(one_shot.fine_tuning(1, lambda _: 0).begin(network))
    sls = Sls(SlsSettings("sls", m=m, budget=budget.sls_share(network, m, share), exact=True))
    gated = sls.phases()[0].begin(network)
    with torch.no_grad():
        for conv in sparse_convolutions(gated).values():
            conv.scores.uniform_(0.9, 1.0)
    return sls.deployed(sls.fine_tuning(1, lambda _: 0).begin(gated))


@pytest.mark.parametrize("method", ["sls", "nm", "channels"])
@pytest.mark.parametrize("name", ["rfdn", "edsr", "carn_m"])
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_the_budget_holds_within_a_percent(method, name, share):
    network = networks()[name]
    spent = naive_macs(pruned_by(method, network, share)) / naive_macs(network)
    assert 0.99 * share <= spent <= share


def test_gates_of_a_last_smaller_group_cost_what_they_hold():
    gated = with_gates(networks()["rfdn"], 32)
    costs = increments(gated, SlsSettings("sls", m=32))["blocks.0.c1_r"]
    # 50 inputs are 32 and 18: ranks below 18 are two of 50 weights, the others one.
    assert (costs / costs.sum()).tolist() == pytest.approx([2 / 50] * 18 + [1 / 50] * 14)


def test_patterns_are_shared_in_training_too(workshop, tmp_path):
    order = order_for(workshop, shared=4, unlabelled=True)
    network, _ = checkpoint.load(prune(workshop / "dense.safetensors", order, tmp_path / "run", device="cpu"))
    kept = network.body[0].body[0].weight != 0
    assert not kept.all() and all(torch.equal(kept[i], kept[i // 4 * 4]) for i in range(len(kept)))


def test_a_budget_of_time_is_met_by_the_table(workshop, tmp_path):
    network, _ = checkpoint.load(workshop / "dense.safetensors")
    # A weight costs nothing beyond 4 of 8: the dense kernel is as fast there. The tail costs as much as all the rest.
    names = list(sparse_convolutions(with_gates(network, 8)))
    seconds = {name: [min(n, 4) * (len(names) - 1 if name == names[-1] else 1) for n in range(9)] for name in names}
    table = tmp_path / "costs.json"
    table.write_text(json.dumps({"m": 8, "layers": seconds}))
    order = order_for(workshop, budget=0.5, costs=str(table), unlabelled=True)
    pruned, card = checkpoint.load(prune(workshop / "dense.safetensors", order, tmp_path / "run", device="cpu"))
    most = {name: int((convolutions(pruned)[name].weight != 0).sum(1).max()) for name in names}
    time = sum(seconds[name][n] for name, n in most.items()) / sum(costs[8] for costs in seconds.values())
    assert card.training["pruned_from"]["time"] == pytest.approx(time, abs=1e-5)
    assert 0.4 < time <= 0.5
    table.write_text(json.dumps({"m": 8, "layers": {}}))
    with pytest.raises(SparsrError, match="holds no costs"):
        recipe_for(network, workshop / "dense.safetensors", order)
    table.write_text("{}")
    with pytest.raises(SparsrError, match="no table of costs"):
        recipe_for(network, workshop / "dense.safetensors", order)


def learning(network):
    return [conv for conv in convolutions(network).values() if not isinstance(conv, ColourMap)]


def test_a_budget_in_milliseconds_holds_by_the_costs_of_the_machine(workshop, tmp_path, monkeypatch):
    # A row costs a microsecond for every weight of a filter; 9 rows are 9 rows, the tail cannot be pruned.
    def cost(inputs, outputs, side=3, sparsity=None, width=0, stride=1):
        assert width == 16 and (not sparsity or sparsity.shared == 1)
        share = sparsity.n / sparsity.m if sparsity else 1
        return SimpleNamespace(seconds=1e-6 * inputs * outputs * share)

    monkeypatch.setattr(layer_costs, "layer_cost", cost)
    dense, _ = checkpoint.load(workshop / "dense.safetensors")
    whole = sum(9e-6 * conv.in_channels * conv.out_channels for conv in learning(dense))
    order = order_for(workshop, budget=0.0, within=TimeBudget(0.6 * whole, 16, 9), unlabelled=True)
    pruned, card = checkpoint.load(prune(workshop / "dense.safetensors", order, tmp_path / "run", device="cpu"))
    spent = 0.0
    for conv in learning(pruned):
        most = max(
            (int(group.count_nonzero(1).max()), group.shape[1]) for group in conv.weight.detach().split(8, dim=1)
        )
        share = most[0] / most[1] if conv.in_channels == 8 and conv.out_channels != 3 else 1
        spent += share * 9e-6 * conv.in_channels * conv.out_channels
    assert 0.5 * whole < spent <= 0.6 * whole
    assert card.training["pruned_from"]["milliseconds"] == pytest.approx(1e3 * spent, rel=1e-4)
    for seconds, sentence in ((2 * whole, "no need to prune"), (0.01 * whole, "cannot be met")):
        order = order_for(workshop, budget=0.0, within=TimeBudget(seconds, 16, 9))
        with pytest.raises(SparsrError, match=r"within|cannot be met") as error:
            prune(workshop / "dense.safetensors", order, tmp_path / "other", device="cpu")
        assert sentence in f"{error.value} {error.value.hint}"
        assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("text", ["12ms", "0ms@3x3", "12ms@0x9", "ms@1x1", "-1ms@3x3", "12 ms@3"])
def test_times_that_are_none_are_refused(text):
    with pytest.raises(SparsrError, match="no time at a size"):
        time_budget.parse(text)
    assert time_budget.parse("1/4") is None
    assert time_budget.parse("12.5ms@320x180") == TimeBudget(0.0125, 320, 180)


@pytest.mark.parametrize("text, share", [("1/4", 0.25), ("0.125", 0.125), ("25%", 0.25), (" 50 % ", 0.5)])
def test_a_budget_is_a_share(text, share):
    assert budget.parse(text) == share


@pytest.mark.parametrize("text", ["", "4", "0", "1", "1/0", "-1/4", "12ms@320x180", "nan"])
def test_other_budgets_are_refused(text):
    with pytest.raises(SparsrError, match="budget"):
        budget.parse(text)


@pytest.mark.parametrize("method", ["sls", "nm", "channels"])
def test_an_impossible_budget_is_refused(method):
    with pytest.raises(SparsrError, match=r"cannot be met: 0\.\d+"):
        pruned_by(method, networks()["edsr"], 0.001)


def test_networks_with_nothing_to_prune_are_refused(workshop, tmp_path):
    with pytest.raises(SparsrError, match="no convolution to prune"):
        recipe_for(build("edsr", 2, channels=2, blocks=1), tmp_path / "none", order_for(workshop))
    with pytest.raises(SparsrError, match="learned masks"):
        recipe_for(small("smsr", 2), tmp_path / "none", order_for(workshop))


def test_an_order_that_cannot_be_carried_out_leaves_nothing(workshop, tmp_path):
    for order in (order_for(workshop, pictures=tmp_path / "none"), order_for(workshop, budget=1e-6)):
        with pytest.raises(SparsrError):
            prune(workshop / "dense.safetensors", order, tmp_path / "run", device="cpu")
        assert not (tmp_path / "run").exists()


def test_a_run_that_could_not_begin_is_not_in_the_way(workshop, tmp_path):
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for name in ("a.png", "b.png"):
        (data / name).write_bytes(b"")
    order = order_for(workshop, method="nm", steps=2, pictures=data)
    with pytest.raises(SparsrError, match="none of the training images"):
        prune(workshop / "dense.safetensors", order, out, device="cpu")
    for name, side in (("a.png", 40), ("b.png", 1)):
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(data / name)
    with pytest.raises(SparsrError, match="1 images can be used, and 1 of them would be held out") as caught:
        prune(workshop / "dense.safetensors", order, out, device="cpu")
    assert "give more" in caught.value.hint
    order = replace(order, pictures=workshop / "images")
    assert prune(workshop / "dense.safetensors", order, out, device="cpu").exists()
    with pytest.raises(SparsrError, match="already holds a run"):
        prune(workshop / "dense.safetensors", order, out, device="cpu")


@pytest.mark.parametrize(
    ("option", "value"), [("--threads", "-1"), ("--threads", "10000000000"), ("--patch", "0"), ("--batch", "-3")]
)
def test_counts_that_are_none_are_refused_before_anything_is_read(option, value, capsys):
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args(["prune", "net", "--data", "d", "--budget", "1/4", "--out", "o", option, value])
    assert end.value.code == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: argument {option}: {value if option == '--threads' else repr(value)}")
    assert hint.startswith("hint: ")


def test_bad_input_of_prune(command, workshop, tmp_path):  # noqa: F811
    start, data = workshop / "dense.safetensors", ("--data", workshop / "images", "--out", tmp_path / "run")
    assert_clear(command("prune", start, *data, "--budget", "1/4", "--steps", 999), "damaged, not pruned", "1000")
    assert_clear(command("prune", start, *data, "--budget", "4"), "between 0 and 1")
    assert_clear(command("prune", start, *data, "--budget", "1/4", "--hr", "2"), "--hr 2")
    assert_clear(command("prune", tmp_path / "none", *data, "--budget", "1/4"), "does not exist")
    among = ("--data", tmp_path, "--out", tmp_path / "run", "--budget", "1/4")
    assert_clear(command("prune", start, *among), "lies among the pictures", "elsewhere")
    picture = ("--data", start, "--out", tmp_path / "run")
    assert_clear(command("prune", start, *picture, "--budget", "1/4"), "is a file", "a folder of pictures")
    (tmp_path / "one").mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "one" / "a.png")
    lone = ("--data", tmp_path / "one", "--out", tmp_path / "lone")
    assert_clear(command("prune", start, *lone, "--budget", "1/4"), "holds 1 pictures", "2")
