"""Everything a run needs before its first step: data, first network, method, and the place it stopped at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.data.patches import PatchData, report_to_stderr
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork, build
from sparsr.train.pruning.method import MethodContext
from sparsr.train.run.distillation import as_teacher, output_of
from sparsr.train.run.distributed import Team, team
from sparsr.train.run.loop import Run, restore
from sparsr.train.run.methods import make_method
from sparsr.train.run.recipe import NetworkSettings, Recipe, expand, first_and_last, shipped
from sparsr.train.run.state import STATE_NAME


@contextmanager
def prepare(recipe: Recipe, out: Path, resume: bool, device: str) -> Iterator[Run]:
    """A run ready for `loop.train`, at its first step or where its state file stands.

    device: auto, cpu or cuda. Raises `SparsrError` if `out` holds another run or something is missing.
    """
    with team(device) as processes, _folder(out):
        state = out / STATE_NAME
        if state.exists() and not resume:
            raise SparsrError(f"{out} already holds a run", "add --resume to continue it, or choose another --out")
        _check_start(recipe.network.start)
        if processes.leads:
            for leftover in out.glob(".*.tmp*"):  # a killed process cannot clean up after itself
                leftover.unlink()
        torch.manual_seed(recipe.seed)
        data = _data(recipe, out, processes)
        network = first_network(recipe)
        context = MethodContext(
            lambda: _trained(recipe.network), _kept_counts, recipe.seed, processes.rank, processes.world
        )
        method = make_method(recipe.prune, context)
        run = Run(recipe, out, data, [], processes, network.to(processes.device), method)
        if recipe.distill:
            run.teacher = as_teacher(_trained(recipe.network)).to(processes.device)
        alone = run.learns_from_teacher_alone
        run.holdout = [(lr, _target(lr, run.teacher) if alone or hr is None else hr) for lr, hr in data.validation]
        if state.exists():
            restore(run)
        elif resume and processes.leads:
            print(f"no state in {out} yet: starting from the beginning", flush=True)
        processes.wait()
        yield run


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """The run's folder, which goes again if it was not there and nothing has come into it: the run could not begin."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if made:
            with suppress(OSError):
                out.rmdir()


def _check_start(start: str) -> None:
    """Say of the checkpoint a recipe starts from that it is missing, before pictures are decoded, and what makes it."""
    if not start or (path := expand(start)).exists():
        return
    folder = path.parent.as_posix()
    makers = [name for name in shipped() if folder in (f"runs/{name}", f"runs/{name.partition('/')[2]}")]
    first = f"train it first: `sparsr train run {makers[0]} --out {folder}`; or " if makers else ""
    raise SparsrError(
        f"the checkpoint {path}, where this recipe starts, does not exist",
        f"{first}name another: --set network.start=CHECKPOINT",
    )


def first_network(recipe: Recipe) -> SRNetwork:
    """The network at step 0: the trained one a pruning recipe starts from, or a built one.

    One that is built takes over from `start` every tensor whose shape fits (another scale has another tail).
    """
    settings = recipe.network
    start = recipe.prune.start if recipe.prune else "built"
    trained = start == "trained" or (start == "optional" and bool(settings.start))
    network = _trained(settings) if trained else _built(settings)
    network.task = settings.task or network.task
    return network


def _built(settings: NetworkSettings) -> SRNetwork:
    sizes = {"channels": settings.channels, "blocks": settings.blocks}
    chosen = {key: value for key, value in sizes.items() if value} | settings.options
    network = build(settings.architecture, settings.scale, **chosen)
    if settings.start:
        source = load_model(expand(settings.start))[0].state_dict()
        own = network.state_dict()
        network.load_state_dict({key: source[key] if _fits(source, own, key) else own[key] for key in own})
    return network


def _fits(source: dict[str, torch.Tensor], own: dict[str, torch.Tensor], key: str) -> bool:
    return key in source and source[key].shape == own[key].shape


def _trained(settings: NetworkSettings) -> SRNetwork:
    network, _ = load_model(expand(settings.start), settings.scale)
    if (network.architecture, network.scale) != (settings.architecture, settings.scale):
        raise SparsrError(
            f"{settings.start} is a {network.architecture} x{network.scale}, "
            f"the recipe prunes a {settings.architecture} x{settings.scale}",
            "--set network.start=CHECKPOINT, or --set network.architecture and network.scale",
        )
    return network


def _kept_counts(path: str) -> dict[str, int] | None:
    """Kept counts per channel group of a checkpoint pruned before."""
    if not path:
        return None
    _, card = load_model(expand(path))
    if not card.training.get("kept"):
        raise SparsrError(f"{path} does not say which channels it kept", "give a checkpoint pruned by SparSR")
    return {name: len(indices) for name, indices in card.training["kept"].items()}


def _target(lr: torch.Tensor, teacher: SRNetwork | None) -> torch.Tensor:
    """What a held-out picture is compared with if HR has no share: the teacher's output, uint8."""
    assert teacher is not None
    return output_of(teacher, lr[None])[0].clamp(0, 255).round().to(torch.uint8)


def _data(recipe: Recipe, out: Path, processes: Team) -> PatchData:
    settings = recipe.data
    cache = expand(settings.cache) if settings.cache else out / "cache"
    folders = [expand(folder) for folder in settings.folders]
    if not processes.leads:
        processes.wait()  # the leading process decodes, the others find its cache
    data = PatchData(
        folders,
        recipe.network.scale,
        settings.patch,
        processes.device,
        cache,
        settings.holdout,
        report=report_to_stderr if processes.leads else lambda _: None,
        unlabelled=settings.unlabelled,
        data_range=first_and_last(settings.data_range),
    )
    if processes.leads:
        processes.wait()
    return data
