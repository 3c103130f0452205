"""Schedules of the training loop, and what a run refuses to start with or to go on with."""

from __future__ import annotations

import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.pruning.method import Phase
from sparsr.train.run import checkpoint, recipe
from sparsr.train.run.loop import compute_gradients, learning_rate
from sparsr.train.run.prepare import prepare
from sparsr.train.run.recipe import TrainSettings
from tests.train.workshop import make_recipe, outcome, run_all


def test_schedules():
    step = TrainSettings(steps=100, lr=1.0, schedule="step", halve_every=10)
    assert [learning_rate(step, i) for i in (1, 10, 11, 20, 21)] == [1, 1, 0.5, 0.5, 0.25]
    cosine = TrainSettings(steps=100, lr=1.0, schedule="cosine")
    assert learning_rate(cosine, 1) == 1
    assert learning_rate(cosine, 51) == pytest.approx(0.5)
    assert learning_rate(cosine, 100) < 0.001


def test_a_phases_penalty_and_its_hand_at_the_gradients_reach_the_step(workshop, tmp_path):
    with prepare(make_recipe(workshop, "dense"), tmp_path, False, "cpu") as run:
        run.position.step = run.position.total = 1
        weight = run.network.head[0].weight

        def gradient(**parts):
            run.network.zero_grad()
            compute_gradients(run, Phase("train", 1, lambda _: 0.1, **parts), run.network)
            return weight.grad.clone()

        plain = gradient()
        torch.testing.assert_close(gradient(penalty=lambda _, step: 3 * step * weight.sum()), plain + 3)
        torch.testing.assert_close(gradient(adjust_gradients=lambda _, step: weight.grad.mul_(2 * step)), 2 * plain)


def test_a_finished_or_foreign_run_folder_is_not_overwritten(workshop, tmp_path):
    chosen = make_recipe(workshop, "dense")
    run_all(chosen, tmp_path / "run")
    with pytest.raises(SparsrError, match="already holds a run"):
        run_all(chosen, tmp_path / "run")
    with pytest.raises(SparsrError, match=r"recipe differs .* train\.steps was 4, is 9"):
        run_all(make_recipe(workshop, "dense", steps=9), tmp_path / "run", resume=True)
    before = outcome(tmp_path / "run")[0]
    run_all(chosen, tmp_path / "run", resume=True)
    assert all(torch.equal(before[name], tensor) for name, tensor in outcome(tmp_path / "run")[0].items())


def test_a_damaged_state_is_named(workshop, tmp_path):
    chosen = make_recipe(workshop, "dense")
    run_all(chosen, tmp_path / "run")
    state = tmp_path / "run" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(SparsrError, match="cannot be read"):
        run_all(chosen, tmp_path / "run", resume=True)


def test_sr_ste_starts_from_scratch_as_published_or_from_a_trained_network(workshop, tmp_path):
    from sparsr.train.run.prepare import first_network

    raw = make_recipe(workshop, "sr_ste").to_dict()
    trained = first_network(recipe.parse(raw, "test"))
    source, _ = checkpoint.load(workshop / "dense.safetensors")
    assert torch.equal(trained.body[0].body[0].weight, source.body[0].body[0].weight)
    raw["network"] |= {"start": "", "channels": 8, "blocks": 2}
    run_all(recipe.parse(raw, "test"), tmp_path / "run")
    network, card = checkpoint.load(tmp_path / "run" / "best.safetensors")
    assert card.method == "sr_ste"
    weight = network.body[0].body[0].weight
    assert int(weight.unflatten(1, (1, 8)).count_nonzero(2).max()) == 1


def test_the_wrong_start_is_refused(workshop, tmp_path):
    for change, message in (({"scale": 4}, "enlarges x2"), ({"architecture": "edsr"}, "prunes a edsr x2")):
        raw = make_recipe(workshop, "l1").to_dict()
        raw["network"] |= change
        with pytest.raises(SparsrError, match=message):
            run_all(recipe.parse(raw, "test"), tmp_path / "run")


def test_an_exploding_loss_stops_the_run(workshop, tmp_path):
    with pytest.raises(SparsrError, match="the loss is"):
        run_all(make_recipe(workshop, "dense", steps=60, lr=1e18), tmp_path / "run")


def test_a_heavy_sparsity_weight_closes_the_masks(workshop, tmp_path):
    """The penalty logged is weight times activity; with hardly any weight the masks stay open."""
    activity = {}
    for weight in (0.1, 1000.0):
        raw = make_recipe(workshop, "smsr", steps=60, lr=0.03, validate_every=60, save_every=60).to_dict()
        raw["prune"] |= {"sparsity_weight": weight, "warm_up_steps": 0}
        run_all(recipe.parse(raw, "test"), tmp_path / str(weight))
        _, log = outcome(tmp_path / str(weight))
        activity[weight] = [entry["penalty"] / weight for entry in log if "penalty" in entry]
    assert 0.4 < activity[1000.0][0] < 1
    assert sum(activity[1000.0][-10:]) / 10 < 0.25 < 0.35 < sum(activity[0.1][-10:]) / 10
    _, card = checkpoint.load(tmp_path / "1000.0" / "best.safetensors")
    assert card.method == "smsr"
