"""The training loop: phases of a recipe one after the other, resumable at any step.

What a step sees depends only on (seed, step), and the state file holds everything else, so a run killed anywhere
continues to bit-identical weights on the CPU with the same number of threads.
"""

from __future__ import annotations

import json
import math
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sparsr.train.networks import SRNetwork
from sparsr.train.pruning.method import Method, Phase
from sparsr.train.quality.evaluate import colours_of, validate
from sparsr.train.run import checkpoint, distillation, state
from sparsr.train.run.checkpoint import Card, card_for
from sparsr.train.run.distributed import Team
from sparsr.train.run.interrupts import StopRequest, stop_request
from sparsr.train.run.log import RunLog
from sparsr.train.run.precision import mixed_precision
from sparsr.train.run.recipe import Recipe, TrainSettings


class Data(Protocol):
    """Where batches come from."""

    def batch(self, seed: int, step: int, size: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor | None]:
        """(lr, hr) float32 in 0..255: this rank's slice of the step's batch; hr is None without labels."""
        ...

    @property
    def validation(self) -> list[tuple[Tensor, Tensor | None]]:
        """The held-out images: (lr, hr) uint8, hr None without labels."""
        ...


@dataclass
class Position:
    """Where a run stands."""

    phase: int = 0
    step: int = 0
    """Steps done within the phase."""
    total: int = 0
    """Steps done in all."""
    best: float = -math.inf
    """Best validation PSNR of the last phase, dB."""


@dataclass
class Run:
    """A run in memory: the recipe, its phases, the network as it is now, and where it stands."""

    recipe: Recipe
    out: Path
    data: Data
    holdout: list[tuple[Tensor, Tensor]]
    team: Team
    network: SRNetwork
    method: Method
    position: Position = field(default_factory=Position)
    teacher: SRNetwork | None = None
    """The dense network to learn from, on the team's device; None without self-distillation."""

    @property
    def learns_from_teacher_alone(self) -> bool:
        """Whether HR has no share in the loss; then the teacher's output is the measure too."""
        return self.recipe.distill is not None and self.recipe.distill.share == 1

    @property
    def method_name(self) -> str:
        """As written into the card."""
        return self.recipe.prune.method if self.recipe.prune else "dense"


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Step size of the 1-based `step`: halved in intervals, or on a half cosine down to zero."""
    if settings.schedule == "step":
        return settings.lr * 0.5 ** ((step - 1) // settings.halve_every)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - 1) / max(settings.steps, 1)))


def phases(run: Run) -> list[Phase]:
    """The method's phases, then the training of the (slimmed) network."""
    train = run.recipe.train

    def rate(step: int) -> float:
        return learning_rate(train, step)

    return [*run.method.phases(), run.method.fine_tuning(train.steps, rate)]


def train(run: Run) -> None:
    """Go through all phases from where the run stands; leaves best, last, the log and the state in `run.out`.

    Ctrl-C, SIGTERM or SIGHUP ends it after the step in progress, with the state saved, by `SystemExit` with 128 + the
    signal.
    """
    stages = phases(run)
    log = RunLog(run.out, run.position.total, sum(p.steps for p in stages), run.recipe.train, run.team.leads)
    optimiser = None
    if run.position.step or run.position.phase:
        optimiser = _adam(run.network)
        optimiser.load_state_dict(state.read(run.out)["optimiser"])
    with stop_request() as stop:
        while run.position.phase < len(stages):
            phase = stages[run.position.phase]
            if run.position.step == 0:
                network = _placed(phase.begin(run.network), run.team)
                optimiser = optimiser if network is run.network and optimiser else _adam(network)
                run.network = network
            assert optimiser is not None
            _train_phase(run, phase, optimiser, log, stop, last=phase is stages[-1])
            run.position.phase, run.position.step = run.position.phase + 1, 0
    _save_state(run, optimiser)
    log.close()


def _train_phase(
    run: Run, phase: Phase, optimiser: torch.optim.Adam, log: RunLog, stop: StopRequest, last: bool
) -> None:
    settings, position = run.recipe.train, run.position
    parallel = run.team.wrap(run.network)
    run.network.train()
    while position.step < phase.steps:
        position.step += 1
        position.total += 1
        for group in optimiser.param_groups:
            group["lr"] = phase.learning_rate(position.step)
        optimiser.zero_grad(set_to_none=True)
        loss, penalty = compute_gradients(run, phase, parallel)
        optimiser.step()
        log.step(position.total, phase.name, loss, penalty, optimiser.param_groups[0]["lr"])
        done = position.step == phase.steps
        if done or position.step % settings.validate_every == 0:
            _validate(run, phase, log, last)
        if done or stop.signal or position.total % settings.save_every == 0:
            _save_state(run, optimiser)
        if stop.signal:
            if run.team.leads:
                name = signal.Signals(stop.signal).name
                print(f"stopped by {name} at step {position.total}: --resume goes on from there", flush=True)
            raise SystemExit(128 + stop.signal)


def compute_gradients(run: Run, phase: Phase, parallel: torch.nn.Module) -> tuple[Tensor, Tensor]:
    """Gradients of the run's current step, left in the parameters; returns the loss and the penalty.

    `parallel` is the run's network, wrapped so that several processes share the batch.
    """
    settings, position, data = run.recipe.train, run.position, run.recipe.data
    team = run.team
    lr_images, hr_images = run.data.batch(run.recipe.seed, position.total, data.batch, team.rank, team.world)
    unit = run.network.value_range / 255
    if phase.before_forward:
        phase.before_forward(run.network, position.step)
    with mixed_precision(run.network, team.device, settings.precision == "bfloat16"):
        output = parallel((lr_images * unit).contiguous(memory_format=torch.channels_last))
    loss = _loss(run, output / unit, lr_images, hr_images)
    penalty = phase.penalty(run.network, position.step) if phase.penalty else torch.zeros((), device=team.device)
    (loss + penalty).backward()
    if phase.adjust_gradients:
        phase.adjust_gradients(run.network, position.step)
    return loss, penalty


def _loss(run: Run, output: Tensor, lr_images: Tensor, hr_images: Tensor | None) -> Tensor:
    if run.teacher and run.recipe.distill:
        settings = run.recipe.distill
        return distillation.loss(output, lr_images, hr_images, run.teacher, settings.share, settings.perceptual)
    assert hr_images is not None
    return F.l1_loss(output, hr_images)


def _validate(run: Run, phase: Phase, log: RunLog, last: bool) -> None:
    """Measure on the held-out images; keep `last`, and `best` once the network has its final shape."""
    if not run.team.leads:
        return
    psnr = validate(run.network, run.holdout, run.team.device) if run.holdout else math.nan
    run.network.train()
    log.validation(run.position.total, phase.name, f"psnr_{colours_of(run.network.scale)}", psnr)
    state.check_finite(run.network, run.position.total)
    network = run.method.deployed(run.network)
    card = _card(run, network, phase, psnr)
    checkpoint.save(run.out / "last.safetensors", network, card)
    if last and (psnr >= run.position.best or not run.holdout):
        run.position.best = psnr
        checkpoint.save(run.out / "best.safetensors", network, card)


def _card(run: Run, network: SRNetwork, phase: Phase, psnr: float) -> Card:
    record: dict[str, Any] = {
        "recipe": run.recipe.to_dict(),
        "phase": phase.name,
        "steps": run.position.total,
        "data": run.recipe.data.terms,
        "torch": torch.__version__.split("+")[0],
        "device": run.team.device.type,
    }
    if run.method.kept:
        record["kept"] = run.method.kept
    compared = "held-out, to the dense network" if run.learns_from_teacher_alone else "held-out"
    metrics = {} if math.isnan(psnr) else {compared: {f"psnr_{colours_of(network.scale)}": round(psnr, 4)}}
    return card_for(network, run.method_name, training=record, metrics=metrics)


def _adam(network: SRNetwork) -> torch.optim.Adam:
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(learned, betas=(0.9, 0.999), eps=1e-8)


def _placed(network: SRNetwork, team: Team) -> SRNetwork:
    return network.to(team.device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _save_state(run: Run, optimiser: torch.optim.Adam | None) -> None:
    """Everything a later `--resume` needs."""
    if not run.team.leads:
        return
    state.check_finite(run.network, run.position.total)
    state.write(
        run.out,
        {
            "recipe": json.dumps(run.recipe.to_dict(), sort_keys=True),
            "card": json.dumps(asdict(card_for(run.network, run.method_name))),
            "weights": run.network.state_dict(),
            "optimiser": optimiser.state_dict() if optimiser else {},
            "method": run.method.state(),
            "position": asdict(run.position),
        },
    )


def restore(run: Run) -> None:
    """Put the run back to where its state file stands. Raises `SparsrError` if the recipe changed since."""
    stored = state.read(run.out)
    state.check_recipe(stored, run.recipe.to_dict(), run.out)
    run.network = _placed(state.network_of(stored, run.out), run.team)
    run.position = Position(**stored["position"])
    run.method.load_state(stored["method"])
