"""Comparisons of pruned networks, and the costs of layers they may be pruned by."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import Sparsity
from sparsr.train import cli as cli
from sparsr.train.networks import build
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.budget import group_size, table_group_size
from sparsr.train.pruning.layer_costs import Costs, Layer, sparse_layers
from sparsr.train.pruning.nm import prune_by_magnitude
from sparsr.train.pruning.settings import SlsSettings
from sparsr.train.pruning.sls import Sls, with_gates
from sparsr.train.quality.comparison import drawings, entry, kept_weights, read, read_times
from sparsr.train.quality.evaluate import Score, record_score
from sparsr.train.run import checkpoint, recipe

DOCUMENTED = Path(__file__).parents[2] / "docs" / "results"
SVG = "{http://www.w3.org/2000/svg}"


def trained(path, method, n=None, **prune):
    """A checkpoint with N:16, as if trained by `method`."""
    torch.manual_seed(0)
    network = build("edsr", 2, channels=32, blocks=1)
    if n:
        prune_by_magnitude(network, Sparsity(n, 16))
    card = checkpoint.card_for(network, method, training={"recipe": {"prune": prune}})
    checkpoint.save(path, network, card)
    return path


def bench_file(path, **seconds):
    rows = [{"bundle": name, "engine": "native", "cpu": {"minimum": value}} for name, value in seconds.items()]
    rows.append({"bundle": "other", "engine": "ort", "cpu": {"minimum": 1.0}})
    rows.append({"bundle": "failed", "engine": "native", "cpu": None})
    path.write_text(json.dumps({"rows": rows}))
    return path


def test_an_entry_holds_work_quality_time_and_what_is_kept(tmp_path):
    path = trained(tmp_path / "half.safetensors", "sls", n=8)
    record_score(path, "Set5", Score(30.123456, 0.9))
    record_score(path, "B100", Score(29.0, 0.8))
    found = entry(path, 16, {"half": 0.25})
    assert found.method == "sls"
    assert found.psnr == {"Set5": 30.1235, "B100": 29.0}
    assert found.milliseconds == 250
    assert set(found.n.values()) == {8}
    assert list(found.n) == ["body.0.body.0", "body.0.body.2", "body.1", "tail.0.0"]
    # by hand: the head reads and the tail makes an image, both dense; the rest keeps a half
    pixels, per_pixel = 640 * 360, 3 * 32 * 9 + (3 * 32 * 32 + 32 * 128) * 9 // 2 + 4 * 32 * 3 * 9
    assert found.gmacs_720p == pytest.approx(pixels * per_pixel / 1e9)


def test_a_budget_in_time_is_told_from_one_in_work(tmp_path):
    assert entry(trained(tmp_path / "a.safetensors", "sls", 8, costs="c.json"), 16, {}).method == "sls-time"
    assert entry(trained(tmp_path / "b.safetensors", "sls", 8, costs=""), 16, {}).milliseconds is None


def test_n_is_the_fullest_group(tmp_path):
    network = build("edsr", 2, channels=32, blocks=1)
    with torch.no_grad():
        convolutions(network)["body.1"].weight[3, 16:, 0, 0] = 0
        convolutions(network)["body.0.body.0"].weight[:, 1:16] = 0
        convolutions(network)["body.0.body.0"].weight[:, 20:] = 0
    assert kept_weights(network, 16) == {"body.0.body.0": 4, "body.0.body.2": 16, "body.1": 16, "tail.0.0": 16}


def test_the_command_writes_figures_and_drawings_that_can_be_drawn_again(tmp_path, monkeypatch, capsys):
    paths = [
        trained(tmp_path / "dense.safetensors", "dense"),
        trained(tmp_path / "s8.safetensors", "sls", 8),
        trained(tmp_path / "s4.safetensors", "sls", 4),
        trained(tmp_path / "o8.safetensors", "one_shot", 8),
    ]
    for index, path in enumerate(paths):
        record_score(path, "B100", Score(30.0 - index, 0.9))
    times = bench_file(tmp_path / "bench.json", dense=0.5, s8=0.3, s4=0.2)
    arguments = [*map(str, paths), "--m", "16", "--times", str(times), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["train", "compare", *arguments])
    assert cli.main() == 0
    assert "| s4 | " in capsys.readouterr().out
    names = ["layers.svg", "time.svg", "work.svg"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.svg")) == names
    circles = {}
    for name in names:
        drawing = ElementTree.fromstring((tmp_path / "out" / name).read_text())
        circles[name] = len(drawing.findall(f"{SVG}circle"))
    assert circles == {"layers.svg": 2 * 4, "time.svg": 3, "work.svg": 4}
    entries = read(tmp_path / "out" / "comparison.json")
    assert drawings(entries, "B100")["work.svg"] == (tmp_path / "out" / "work.svg").read_text()


def test_the_drawings_in_the_documentation_come_from_the_log_that_is_kept():
    entries = read(recipe.RECIPES / "compare" / "rfdn64" / "comparison.json")
    for name, drawing in drawings(entries, "B100").items():
        assert (DOCUMENTED / name).read_text() == drawing, name


def test_the_comparisons_that_are_kept_can_be_read():
    kept = sorted((recipe.RECIPES / "compare").glob("*/comparison.json"))
    assert len(kept) >= 3
    for path in kept:
        dense, *pruned = read(path)
        assert dense.method == "dense"
        assert all(one.gmacs_720p < dense.gmacs_720p / 3 for one in pruned), path


def test_times_are_the_native_engines(tmp_path):
    assert read_times(bench_file(tmp_path / "b.json", x=0.1)) == {"x": 0.1}
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(SparsrError, match=r"bad\.json holds no measurements"):
        read_times(tmp_path / "bad.json")
    with pytest.raises(SparsrError, match=r"bad\.json is not a comparison"):
        (tmp_path / "bad.json").write_text('[{"name": 1}]')
        read(tmp_path / "bad.json")


def test_layers_and_the_sizes_of_their_results():
    network = build("edsr", 4, channels=32, blocks=1)
    assert sparse_layers(network, 32, 6, 9) == {
        "body.0.body.0": Layer(32, 32, 3, 1, 6, 9),
        "body.0.body.2": Layer(32, 32, 3, 1, 6, 9),
        "body.1": Layer(32, 32, 3, 1, 6, 9),
        "tail.0.0": Layer(32, 128, 3, 1, 6, 9),
        "tail.0.2": Layer(32, 128, 3, 1, 12, 18),
    }
    with pytest.raises(SparsrError, match="M is 5"):
        sparse_layers(network, 5, 6, 9)


def test_measured_costs_are_what_pruning_takes(tmp_path):
    network = build("edsr", 2, channels=16, blocks=1)
    layers = sparse_layers(network, 8, 30, 40)
    costs = Costs().table(layers, 8, 1)
    assert all(len(seconds) == 9 and seconds[0] == 0 and min(seconds[1:]) > 0 for seconds in costs.values())
    assert costs["body.0.body.0"] == costs["body.1"]
    (tmp_path / "costs.json").write_text(json.dumps({"layers": costs}))
    gated = with_gates(network, 8)
    method = Sls(SlsSettings("sls", m=8, costs=str(tmp_path / "costs.json")))
    assert float(method.cost(gated).detach()) == pytest.approx(method.dense_cost(gated))


def test_costs_are_measured_with_the_group_size_that_pruning_takes(tmp_path):
    """A network too narrow for groups of 32, as which they were measured whatever the network."""
    network = build("edsr", 2, channels=8, blocks=1)
    checkpoint.save(tmp_path / "narrow.safetensors", network, checkpoint.card_for(network, "dense"))
    table = tmp_path / "costs.json"
    options = cli.build_parser().parse_args(
        ["costs", str(tmp_path / "narrow.safetensors"), "--size", "20x12", "--out", str(table)]
    )
    options.action(options)
    assert table_group_size(table, 1) == group_size(network) == 8
