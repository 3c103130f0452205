"""The training loop: it learns, resumes bit for bit after a kill anywhere, and shares batches between processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.run import checkpoint, recipe
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare
from tests.train.workshop import assert_same_weights, make_recipe, outcome, run_all

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("method", ["dense", "gassl", "smsr", "sr_ste", "sls"])  # gassl has all the stages of assl
def test_resume_is_bit_identical_wherever_the_run_stops(workshop, tmp_path, method):
    chosen = make_recipe(workshop, method)
    run_all(chosen, tmp_path / "whole")
    _, log = outcome(tmp_path / "whole")
    total = log[-1]["step"]
    phases = {
        "gassl": {"hair", "ssa", "grow", "stabilise", "finetune"},
        "sls": {"sls", "finetune"},
        "sr_ste": {"finetune"},
    }
    assert {entry["phase"] for entry in log} == phases.get(method, {"train"})
    for stop in range(1, total + 1):
        out = tmp_path / f"stop{stop}"
        with pytest.raises(KeyboardInterrupt):
            run_all(chosen, out, stop_at=stop)
        run_all(chosen, out, resume=True)
        assert_same_weights(tmp_path / "whole", out)
    assert outcome(out)[1] == log, "lines of repeated steps are not there twice"


def test_resume_repeats_the_steps_since_the_last_state(workshop, tmp_path):
    """With a state every 4 steps a stop at step 7 of the growth goes back to 4."""
    chosen = make_recipe(workshop, "assl", save_every=4)
    run_all(chosen, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_all(chosen, tmp_path / "cut", stop_at=7)
    run_all(chosen, tmp_path / "cut", resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")


def test_a_killed_process_resumes_to_the_same_weights(workshop, tmp_path):
    """SIGKILL in the growing stage, through the command line."""
    text = "\n".join(
        [
            f'[network]\narchitecture = "ledsr"\nscale = 2\nstart = "{workshop}/dense.safetensors"',
            f'[data]\nfolders = ["{workshop}/images"]\npatch = 8\nbatch = 2\nholdout = 1',
            '[prune]\nmethod = "assl"\nkeep = 4\nssa_steps = 3\ninterval = 1\ngranularity = 0.04\nstabilise_steps = 2',
            "[train]\nsteps = 4\nsave_every = 3\nlog_every = 1",
        ]
    )
    (tmp_path / "tiny.toml").write_text(text)
    command = [sys.executable, "-m", "train", "run", str(tmp_path / "tiny.toml"), "--device", "cpu", "--threads", "1"]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "killed")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as p:
        assert p.stdout is not None
        next(line for line in p.stdout if line.startswith("grow") and "8/" in line)
        os.kill(p.pid, signal.SIGKILL)
    subprocess.run([*command, "--out", str(tmp_path / "killed"), "--resume"], cwd=ROOT, check=True, capture_output=True)
    subprocess.run([*command, "--out", str(tmp_path / "whole")], cwd=ROOT, check=True, capture_output=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    assert not [path for path in (tmp_path / "killed").iterdir() if ".tmp" in path.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_state_and_the_run_goes_on_from_there(workshop, tmp_path, request, number):
    """Between two saves: nothing of what was done is done again."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, under which tests may run, has it ignored
    request.addfinalizer(lambda: signal.signal(signal.SIGHUP, before))
    chosen = make_recipe(workshop, "assl", save_every=100)
    run_all(chosen, tmp_path / "whole")
    steps = []

    def listening(resume, stop_at):
        with prepare(chosen, tmp_path / "cut", resume, "cpu") as run:
            original = run.data.batch

            def batch(seed, step, *rest):
                steps.append(step)
                if step == stop_at:
                    os.kill(os.getpid(), number)
                return original(seed, step, *rest)

            run.data.batch = batch
            train(run)

    with pytest.raises(SystemExit) as stopped:
        listening(False, 2)
    assert stopped.value.code == 128 + number
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "the handlers are the caller's again"
    listening(True, None)
    assert steps == list(range(1, len(steps) + 1))
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")


def test_what_has_no_part_in_learning_may_change_on_resume(workshop, tmp_path):
    chosen = make_recipe(workshop, "dense")
    run_all(chosen, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_all(chosen, tmp_path / "cut", stop_at=3)
    run_all(make_recipe(workshop, "dense", log_every=2, save_every=3), tmp_path / "cut", resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")


def test_weights_that_are_not_finite_overwrite_nothing(workshop, tmp_path):
    chosen = make_recipe(workshop, "dense", log_every=1000)
    with prepare(chosen, tmp_path / "run", False, "cpu") as run:
        original = run.data.batch

        def batch(seed, step, *rest):
            if step == 3:
                with torch.no_grad():
                    run.network.head[0].bias[0] = float("nan")
            return original(seed, step, *rest)

        run.data.batch = batch
        with pytest.raises(SparsrError, match=r"not finite at step 3 \("):
            train(run)
    network, card = checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert card.training["steps"] == 2
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())
    run_all(chosen, tmp_path / "run", resume=True)  # from step 2


GRADIENTS = """
import sys, torch
from pathlib import Path
from sparsr.train.run import recipe
from sparsr.train.run.loop import compute_gradients, phases
from sparsr.train.run.prepare import prepare
chosen = recipe.load(sys.argv[1])
with prepare(chosen, Path(sys.argv[2]), False, "cpu") as run:
    phase = phases(run)[0]
    run.network = phase.begin(run.network)
    run.position.step = run.position.total = 1
    compute_gradients(run, phase, run.team.wrap(run.network))
    if run.team.leads:
        torch.save({n: p.grad for n, p in run.network.named_parameters() if p.grad is not None}, sys.argv[3])
"""


@pytest.mark.parametrize("method", ["dense", "assl", "smsr", "sls"])
def test_two_processes_compute_the_gradients_of_the_whole_batch(workshop, tmp_path, method):
    prune = '[prune]\nmethod = "assl"\nkeep = 4\n' if method == "assl" else ""
    prune = '[prune]\nmethod = "smsr"\n' if method == "smsr" else prune
    start = f'start = "{workshop}/dense.safetensors"\n' if method == "assl" else "channels = 8\nblocks = 2\n"
    architecture = "smsr" if method == "smsr" else "ledsr"
    (tmp_path / "r.toml").write_text(
        f'[network]\narchitecture = "{architecture}"\nscale = 2\n{start}{prune}'
        f'[data]\nfolders = ["{workshop}/images"]\npatch = 8\nbatch = 4\nholdout = 1\n'
    )
    (tmp_path / "gradients.py").write_text(GRADIENTS)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = [str(tmp_path / "gradients.py"), str(tmp_path / "r.toml")]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, launcher in (("one", [sys.executable]), ("two", torchrun)):
        command = [*launcher, *arguments, str(tmp_path / name), str(tmp_path / f"{name}.pt")]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    one, two = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5 * float(one[name].abs().max()))


def test_training_improves_on_the_held_out_image(workshop, tmp_path):
    run_all(make_recipe(workshop, "dense", steps=120, validate_every=20, schedule="cosine"), tmp_path / "run")
    quality = [entry["psnr_y"] for entry in outcome(tmp_path / "run")[1] if "psnr_y" in entry]
    assert quality[-1] > quality[0] + 3
    _, card = checkpoint.load(tmp_path / "run" / "best.safetensors")
    assert card.metrics["held-out"]["psnr_y"] == max(quality)


@pytest.mark.parametrize("method", ["l1", "assl", "gassl"])
def test_a_pruned_checkpoint_is_slim_and_says_what_it_kept(workshop, tmp_path, method):
    run_all(make_recipe(workshop, method), tmp_path / "run")
    network, card = checkpoint.load(tmp_path / "run" / "best.safetensors")
    assert card.method == method
    assert not card.weight_norm
    for name in ("head.0", "body.0.body.0"):
        assert network.get_submodule(name).out_channels == len(card.training["kept"][name]) < 8


def test_the_found_widths_can_start_another_run(workshop, tmp_path):
    run_all(make_recipe(workshop, "gassl"), tmp_path / "first")
    raw = make_recipe(workshop, "assl").to_dict()
    raw["prune"]["ratios_from"] = str(tmp_path / "first" / "best.safetensors")
    run_all(recipe.parse(raw, "test"), tmp_path / "second")
    first, second = (checkpoint.load(tmp_path / name / "best.safetensors")[1] for name in ("first", "second"))
    assert first.widths == second.widths


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_cannot_begin_leaves_no_folder_of_its_own(workshop, tmp_path, there):
    raw = make_recipe(workshop, "dense").to_dict()
    raw["data"]["folders"] = [str(tmp_path / "absent")]
    out = tmp_path / "run"
    if there:
        out.mkdir()
    with pytest.raises(SparsrError, match="absent"), prepare(recipe.parse(raw, "test"), out, False, "cpu"):
        pass
    assert out.exists() == there


def test_the_body_of_another_scale_is_a_start(workshop, tmp_path):
    raw = make_recipe(workshop, "dense", steps=0).to_dict()
    raw["network"] |= {"scale": 4, "start": str(workshop / "dense.safetensors")}
    from sparsr.train.run.prepare import first_network

    network = first_network(recipe.parse(raw, "test"))
    source, _ = checkpoint.load(workshop / "dense.safetensors")
    assert torch.equal(network.body[1].body[2].weight, source.body[1].body[2].weight)
    assert network.tail[0][0].out_channels == 48


def test_mixed_precision_stays_close_and_keeps_colours_exact(workshop):
    from sparsr.train.run.precision import mixed_precision

    network, _ = checkpoint.load(workshop / "dense.safetensors")
    image = torch.rand(1, 3, 16, 16) * 255
    exact = network(image)
    with mixed_precision(network, torch.device("cpu"), True):
        mixed = network(image)
        assert network.sub_mean(image).dtype == torch.float32
        assert network.body[0].body[0](torch.rand(1, 8, 4, 4)).dtype == torch.bfloat16
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - exact).abs().max() < 0.02 * exact.abs().max()
    torch.testing.assert_close(network(image), exact, rtol=0, atol=0)
