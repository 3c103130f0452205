"""The training loop: phases of a recipe one after the other, resumable at any step.

What a step sees depends only on (seed, step), and the state file holds everything else, so a run killed anywhere
continues to bit-identical weights on the CPU with the same number of threads.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.pruning.method import Method, Phase
from sparsr.train.quality.evaluate import validate
from sparsr.train.run import checkpoint, distillation
from sparsr.train.run.checkpoint import Card, card_for
from sparsr.train.run.distributed import Team
from sparsr.train.run.log import RunLog
from sparsr.train.run.precision import mixed_precision
from sparsr.train.run.recipe import Recipe, TrainSettings
from sparsr.train.smsr.training import relax_masks, sparsity_penalty

STATE_NAME = "state.pt"


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
    method: Method | None
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
        if self.recipe.prune:
            return self.recipe.prune.method
        return "smsr" if mask_blocks(self.network) else "dense"


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

    if run.method is None:
        return [Phase("train", train.steps, rate)]
    return [*run.method.phases(), run.method.fine_tuning(train.steps, rate)]


def train(run: Run) -> None:
    """Go through all phases from where the run stands; leaves best, last, the log and the state in `run.out`."""
    stages = phases(run)
    log = RunLog(run.out, run.position.total, sum(p.steps for p in stages), run.recipe.train, run.team.leads)
    optimiser = None
    if run.position.step or run.position.phase:
        optimiser = _adam(run.network)
        optimiser.load_state_dict(_read_state(run.out)["optimiser"])
    while run.position.phase < len(stages):
        phase = stages[run.position.phase]
        if run.position.step == 0:
            network = _placed(phase.begin(run.network), run.team)
            optimiser = optimiser if network is run.network and optimiser else _adam(network)
            run.network = network
        assert optimiser is not None
        _train_phase(run, phase, optimiser, log, last=phase is stages[-1])
        run.position.phase, run.position.step = run.position.phase + 1, 0
    _save_state(run, optimiser)
    log.close()


def _train_phase(run: Run, phase: Phase, optimiser: torch.optim.Adam, log: RunLog, last: bool) -> None:
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
        if (done or position.total % settings.save_every == 0) and run.team.leads:
            _save_state(run, optimiser)


def compute_gradients(run: Run, phase: Phase, parallel: torch.nn.Module) -> tuple[Tensor, Tensor]:
    """Gradients of the run's current step, left in the parameters; returns the loss and the penalty.

    `parallel` is the run's network, wrapped so that several processes share the batch.
    """
    settings, position, data = run.recipe.train, run.position, run.recipe.data
    masks, seed = run.recipe.masks, run.recipe.seed
    lr_images, hr_images = run.data.batch(seed, position.total, data.batch, run.team.rank, run.team.world)
    unit = run.network.value_range / 255
    relax_masks(run.network, masks, seed, position.total, run.team.rank, run.team.world)
    with mixed_precision(run.network, run.team.device, settings.precision == "bfloat16"):
        output = parallel((lr_images * unit).contiguous(memory_format=torch.channels_last))
    loss = _loss(run, output / unit, lr_images, hr_images)
    penalty = sparsity_penalty(run.network, masks, position.total)
    if phase.penalty:
        penalty = penalty + phase.penalty(run.network)
    (loss + penalty).backward()
    if phase.adjust_gradients:
        phase.adjust_gradients(run.network, position.step)
    return loss, penalty


def _loss(run: Run, output: Tensor, lr_images: Tensor, hr_images: Tensor | None) -> Tensor:
    if run.teacher and run.recipe.distill:
        return distillation.loss(output, lr_images, hr_images, run.teacher, run.recipe.distill.share)
    assert hr_images is not None
    return F.l1_loss(output, hr_images)


def _validate(run: Run, phase: Phase, log: RunLog, last: bool) -> None:
    """Measure on the held-out images; keep `last`, and `best` once the network has its final shape."""
    if not run.team.leads:
        return
    psnr = validate(run.network, run.holdout, run.team.device) if run.holdout else math.nan
    run.network.train()
    log.validation(run.position.total, phase.name, psnr)
    network = run.method.deployed(run.network) if run.method else run.network
    card = _card(run, network, phase, psnr)
    checkpoint.save(run.out / "last.safetensors", network, card)
    if last and (psnr >= run.position.best or not run.holdout):
        run.position.best = psnr
        checkpoint.save(run.out / "best.safetensors", network, card)


def _card(run: Run, network: SRNetwork, phase: Phase, psnr: float) -> Card:
    kept = run.method.kept if run.method else None
    record: dict[str, Any] = {
        "recipe": run.recipe.to_dict(),
        "phase": phase.name,
        "steps": run.position.total,
        "data": run.recipe.data.terms,
        "torch": torch.__version__.split("+")[0],
        "device": run.team.device.type,
    }
    if kept:
        record["kept"] = kept
    compared = "held-out, to the dense network" if run.learns_from_teacher_alone else "held-out"
    metrics = {} if math.isnan(psnr) else {compared: {"psnr_y": round(psnr, 4)}}
    return card_for(network, run.method_name, training=record, metrics=metrics)


def _adam(network: SRNetwork) -> torch.optim.Adam:
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(learned, betas=(0.9, 0.999), eps=1e-8)


def _placed(network: SRNetwork, team: Team) -> SRNetwork:
    return network.to(team.device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _save_state(run: Run, optimiser: torch.optim.Adam | None) -> None:
    """Everything a later `--resume` needs, in one file, so that a kill can never leave two halves apart."""
    if not run.team.leads:
        return
    state = {
        "recipe": json.dumps(run.recipe.to_dict(), sort_keys=True),
        "card": json.dumps(asdict(card_for(run.network, run.method_name))),
        "weights": run.network.state_dict(),
        "optimiser": optimiser.state_dict() if optimiser else {},
        "method": run.method.state() if run.method else {},
        "position": asdict(run.position),
    }
    with atomic_file(run.out / STATE_NAME) as temporary:
        torch.save(state, temporary)


def _read_state(out: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(out / STATE_NAME, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise SparsrError(f"{out / STATE_NAME} cannot be read ({error})", "start again without --resume") from error
    return state


def restore(run: Run) -> None:
    """Put the run back to where its state file stands. Raises `SparsrError` if the recipe changed since."""
    state = _read_state(run.out)
    if state["recipe"] != json.dumps(run.recipe.to_dict(), sort_keys=True):
        raise SparsrError(
            f"the recipe differs from the one {run.out} was started with",
            "resume with the same recipe and --set options, or choose another --out",
        )
    network = checkpoint.skeleton(checkpoint.parse_card(state["card"], run.out / STATE_NAME))
    network.load_state_dict(state["weights"], assign=True)
    run.network = _placed(network, run.team)
    run.position = Position(**state["position"])
    if run.method:
        run.method.load_state(state["method"])
