"""`python -m train`: what it prints, and one sentence with a hint for every kind of bad input."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sparsr.runtime.errors import run_cli
from sparsr.train import cli as cli
from sparsr.train.networks import ARCHITECTURES, build
from sparsr.train.run import checkpoint
from sparsr.train.run.recipe import shipped


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        code = run_cli(cli.main)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def recipe_file(tmp_path):
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for name in "ab":
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    path = tmp_path / "tiny.toml"
    path.write_text(
        f'[network]\narchitecture = "ledsr"\nscale = 2\nchannels = 8\nblocks = 1\n'
        f'[data]\nfolders = ["{tmp_path}/images"]\npatch = 8\nbatch = 1\nholdout = 1\n'
        "[train]\nsteps = 2\nlog_every = 1\n"
    )
    return path


def assert_clear(result, message, hint=""):
    """One error line, at most one hint line, exit code 2."""
    code, _, errors = result
    lines = errors[errors.index("error: ") :].splitlines()  # progress may stand before it
    assert code == 2
    assert re.search(message, lines[0])
    assert len(lines) <= 2
    if hint:
        assert lines[1].startswith("hint: ") and hint in lines[1]


def test_list_names_architectures_recipes_and_models(command):
    code, output, _ = command("list")
    assert code == 0
    for name in [*ARCHITECTURES, "paper/assln_x2", "cpu/assln_x4", "train/zoo/assln_x2.safetensors"]:
        assert name in output
    places = [output.index(heading) for heading in ("trained models", "architectures", "recipes/cpu", "recipes/paper")]
    assert places == sorted(places)  # what one starts with comes first
    assert all(f"  {name} " in output for name in shipped())


def test_a_run_leaves_checkpoints_and_a_log(command, recipe_file, tmp_path):
    code, output, _ = command("run", recipe_file, "--out", tmp_path / "run", "--device", "cpu")
    assert code == 0
    assert "2/2" in output and "left" in output
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"best.safetensors", "last.safetensors", "log.jsonl"}
    code, output, _ = command("eval", tmp_path / "run" / "best.safetensors", "--data", tmp_path / "images")
    assert code == 0
    assert "mean of 2" in output


def test_a_run_says_after_ten_steps_how_long_it_takes(command, recipe_file, tmp_path):
    code, output, _ = command(
        "run", recipe_file, "--out", tmp_path / "run", "--set", "train.steps=12", "--set", "train.log_every=100"
    )
    assert code == 0
    (line,) = [line for line in output.splitlines() if line.startswith("about ")]
    assert re.fullmatch(r"about \d+:\d\d:\d\d for 2 steps, by the first 10", line)


def test_init_writes_an_untrained_network(command, recipe_file, tmp_path):
    assert command("init", recipe_file, "--out", tmp_path / "new.safetensors", "--set", "network.channels=12")[0] == 0
    network, card = checkpoint.load(tmp_path / "new.safetensors")
    torch.manual_seed(1)
    assert torch.equal(network.head[0].weight, build("ledsr", 2, channels=12, blocks=1).head[0].weight)
    assert card.training == {"steps": 0}


def test_bad_input_of_a_run(command, recipe_file, tmp_path):
    out = tmp_path / "run"
    assert_clear(command("run", "nosuch", "--out", out), "no recipe nosuch")
    assert_clear(command("run", recipe_file, "--out", out, "--set", "train.lrr=1"), "unknown key train.lrr", "lr")
    assert_clear(command("run", recipe_file, "--out", out, "--resume"), "nothing to resume", "--resume")
    assert_clear(command("run", recipe_file, "--out", out, "--device", "tpu"), "no device 'tpu'", "cpu")
    missing = ("--set", f'data.folders=["{tmp_path}/none"]')
    assert_clear(command("run", recipe_file, "--out", out, *missing), "none")
    assert_clear(command("run", recipe_file, "--out", out, "--set", "data.patch=64"), "large enough", "data.patch")
    assert_clear(
        command("run", recipe_file, "--out", out, "--set", "data.holdout=2"), "2 images can be used, and 2 of them"
    )
    assert_clear(
        command("run", recipe_file, "--out", out, "--set", "network.architecture=ledr"), "no architecture", "ledsr"
    )
    start = ("--set", f"network.start={tmp_path}/none.safetensors")
    assert_clear(command("run", recipe_file, "--out", out, *start), "does not exist", "--set network.start=CHECKPOINT")


@pytest.mark.parametrize(
    ("recipe", "maker"),
    [
        ("compare/l1", "compare/dense --out runs/compare/dense"),
        ("paper/assln_x2", "paper/ledsr_x2 --out runs/ledsr_x2"),
    ],
)
def test_a_recipe_whose_start_is_missing_names_the_one_that_makes_it(command, tmp_path, monkeypatch, recipe, maker):
    """Before it looks for pictures, and leaving no folder."""
    monkeypatch.chdir(tmp_path)
    result = command("run", recipe, "--out", tmp_path / "run")
    assert_clear(result, "where this recipe starts, does not exist", f"`sparsr train run {maker}`")
    assert not (tmp_path / "run").exists()


def test_an_output_below_a_file_is_refused(command, recipe_file, tmp_path):
    (tmp_path / "file").write_text("x")
    assert_clear(command("run", recipe_file, "--out", tmp_path / "file" / "run"), "file")


def test_a_full_disk_while_training_keeps_the_last_whole_state(command, recipe_file, tmp_path, monkeypatch):
    out = tmp_path / "run"
    assert command("run", recipe_file, "--out", out, "--set", "train.steps=0")[0] == 0
    before = (out / "state.pt").read_bytes()

    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device", file.name)

    monkeypatch.setattr(torch, "save", full)
    fresh = tmp_path / "fresh"
    assert_clear(command("run", recipe_file, "--out", fresh), "No space left", "free some space")
    assert not [path for path in fresh.iterdir() if "state" in path.name]
    assert (out / "state.pt").read_bytes() == before


def test_bad_input_of_eval(command, tmp_path, recipe_file):
    (tmp_path / "empty.pth").write_bytes(b"")
    data = ("--data", tmp_path / "images")
    assert_clear(command("eval", tmp_path / "empty.pth", *data), "0 bytes", "again")
    assert_clear(command("eval", tmp_path / "none.pth", *data), "does not exist", "path")
    assert_clear(command("eval", "bicubic", *data), "scale", "--scale")
    (tmp_path / "nothing").mkdir()
    assert_clear(command("eval", "bicubic", "--scale", 2, "--data", tmp_path / "nothing"), "nothing")
