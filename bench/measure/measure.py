"""The measurement: a worker process per bundle and engine, rounds interleaved, outputs compared.

All workers are loaded and warmed up first. A round then asks each in turn for one inference while the others
sleep, so that whatever disturbs the machine for a while disturbs all of them, and times of one round can be
compared pair by pair.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsr.bench.hide_avx512.packages import environment as masked
from sparsr.bench.measure.engines import ENGINES, FloatArray
from sparsr.bench.measure.machine import available_cpus, describe, version
from sparsr.bench.measure.process import Worker, WorkerError
from sparsr.bench.measure.results import (
    Basis,
    BundleInfo,
    Difference,
    LayerGroup,
    Memory,
    Opponent,
    Results,
    Row,
    Settings,
)
from sparsr.bench.measure.statistics import paired_ratio, summarise
from sparsr.bench.measure.worker import Job
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.progress import Progress

MIN_ROUNDS = 3


@dataclass(frozen=True)
class Subject:
    """A bundle to measure."""

    id: str
    bundle: Bundle
    engines: tuple[str, ...] = ()
    """Engines to measure it in; empty: those of the plan."""
    threads: int = 0
    """0: those of the plan."""

    @property
    def card(self) -> BundleCard:
        """The bundle's card."""
        return self.bundle.card


@dataclass(frozen=True)
class Plan:
    """What to measure and how."""

    subjects: tuple[Subject, ...]
    engines: tuple[str, ...]
    width: int
    """Input pixels."""
    height: int
    threads: int
    rounds: int
    baseline: str | None = None
    """Id of the dense bundle all others are compared with; None: found by architecture and scale."""
    max_seconds: float = float("inf")
    """No new round is begun after this time, once there are three."""
    image: NDArray[np.uint8] | None = None
    """The input, uint8 [h, w, 3] of any size, repeated or cut to the plan's; None: noise."""
    hide: bool = False
    """Hide AVX-512 and AMX from every engine."""
    timeout: float = 300.0
    """Seconds a worker may take for one answer; loading, converting and the first run are one."""


@dataclass(eq=False)
class _Entry:
    """A row in the making."""

    subject: Subject
    engine: str
    output: Path
    worker: Worker | None = None
    error: SparsrError | None = None
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    memory: Memory | None = None
    layers: tuple[LayerGroup, ...] = ()
    difference: Difference | None = None

    def fail(self, error: SparsrError) -> None:
        """Leave the measurement, with the reason."""
        self.error = error
        if self.worker:
            self.worker.close()


def measure(plan: Plan) -> Results:
    """Measure every bundle of the plan in every engine. What fails becomes a row with its reason.

    Raises `SparsrError` for a plan that cannot be carried out, before anything is started.
    """
    _check(plan)
    cpus = _cpus(plan.threads)
    basis: Basis = "cpu" if plan.threads == 1 else "wall"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparsr-bench-")))
        entries = [
            _Entry(subject, engine, folder / f"{number}-{engine}.npy")
            for number, subject in enumerate(plan.subjects)
            for engine in subject.engines or plan.engines
        ]
        stack.callback(_close, entries)
        _start(plan, entries, folder)
        rounds = _run_rounds(plan, entries)
        _stop(entries)
        _compare(plan, entries)
    settings = Settings(plan.width, plan.height, plan.threads, rounds, basis, cpus, plan.hide)
    packages = ("numpy", *(engine.package for engine in ENGINES.values()))
    infos = tuple(_info(subject, plan) for subject in plan.subjects)
    results = Results(
        datetime.now(UTC).isoformat(timespec="seconds"),
        describe(tuple(dict.fromkeys(packages))),
        settings,
        infos,
        tuple(_row(entry) for entry in entries),
    )
    return dataclasses.replace(results, rows=tuple(_with_opponent(row, results) for row in results.rows))


def _check(plan: Plan) -> None:
    named = [*plan.engines, *(engine for subject in plan.subjects for engine in subject.engines)]
    unknown = [name for name in named if name not in ENGINES]
    if unknown:
        raise SparsrError(f"there is no engine {unknown[0]!r}", f"known: {', '.join(ENGINES)}")
    if plan.baseline is not None and plan.baseline not in {subject.id for subject in plan.subjects}:
        raise SparsrError(f"the baseline {plan.baseline} is not among the measured bundles")
    cpus = available_cpus()
    if not 1 <= plan.threads <= (len(cpus) or plan.threads):
        raise SparsrError(f"{plan.threads} threads do not fit the {len(cpus)} CPUs of this process")
    for subject in plan.subjects:
        if min(plan.width, plan.height) < subject.card.minimum_size:
            side = subject.card.minimum_size
            raise SparsrError(f"{subject.id} takes images from {side}x{side}, not {plan.width}x{plan.height}")


def _cpus(threads: int) -> tuple[int, ...]:
    """CPUs to pin to: the last ones, because the first serves most interrupts."""
    return available_cpus()[-threads:]


def _start(plan: Plan, entries: Sequence[_Entry], folder: Path) -> None:
    """Load every worker, one after the other: conversion and compilation may use what memory there is."""
    images = {
        subject.id: _save_image(plan, subject.card.value_range, folder / f"input-{number}.npy")
        for number, subject in enumerate(plan.subjects)
    }
    with Progress("loading and warming up", len(entries), "engines") as progress:
        for entry in entries:
            threads = entry.subject.threads or plan.threads
            try:
                job = Job(
                    entry.engine,
                    str(_model_file(entry.subject, entry.engine)),
                    threads,
                    _cpus(threads),
                    str(images[entry.subject.id]),
                    str(entry.output),
                )
                entry.worker = Worker(job, plan.timeout, masked(entry.engine) if plan.hide else None)
            except SparsrError as error:
                entry.fail(error)
            progress.advance()


def _save_image(plan: Plan, value_range: float, path: Path) -> Path:
    """The same 8-bit image for all, in the network's range. Noise, unless the plan has one: the speed of most networks
    depends on the size alone."""
    height, width = plan.height, plan.width
    if plan.image is None:
        levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    else:
        missing = [
            (0, max(0, wanted - given)) for wanted, given in zip((height, width), plan.image.shape, strict=False)
        ]
        levels = np.pad(plan.image, [*missing, (0, 0)], "symmetric")[:height, :width]
    np.save(path, (levels[None] * (value_range / 255)).astype(np.float32))
    return path


def _model_file(subject: Subject, engine: str) -> Path:
    """Path of the file the engine reads, once its hash is the one the card states."""
    wanted = ENGINES[engine].format
    subject.bundle.model(wanted)
    return (subject.bundle.path / subject.bundle.file(wanted).name).resolve()


def _run_rounds(plan: Plan, entries: Sequence[_Entry]) -> int:
    """Measure until the rounds or the time are up; the number of rounds completed."""
    end = time.monotonic() + plan.max_seconds
    with Progress("measuring", plan.rounds, "rounds") as progress:
        for done in range(plan.rounds):
            live = [entry for entry in entries if entry.error is None]
            if not live or (done >= MIN_ROUNDS and time.monotonic() > end):
                return done
            for entry in live:
                _run_once(entry)
            progress.advance()
    return plan.rounds


def _run_once(entry: _Entry) -> None:
    assert entry.worker
    try:
        cpu, wall = entry.worker.run()
    except WorkerError as error:
        entry.fail(error)
    else:
        entry.cpu.append(cpu)
        entry.wall.append(wall)


def _stop(entries: Sequence[_Entry]) -> None:
    for entry in entries:
        if entry.error is not None:
            continue
        assert entry.worker
        try:
            entry.memory, entry.layers = entry.worker.stop()
        except WorkerError as error:
            entry.fail(error)
            continue
        entry.worker.close()


def _close(entries: Sequence[_Entry]) -> None:
    for entry in entries:
        if entry.worker:
            entry.worker.close()


def _compare(plan: Plan, entries: Sequence[_Entry]) -> None:
    """Fill in how far each output is from the one that most engines of its bundle agree with."""
    for subject in plan.subjects:
        done = [entry for entry in entries if entry.subject is subject and entry.error is None]
        outputs = {entry.engine: np.load(entry.output) * np.float32(255 / subject.card.value_range) for entry in done}
        if not outputs:
            continue
        reference = reference_engine(outputs)
        for entry in done:
            entry.difference = difference(reference, outputs[reference], outputs[entry.engine])


def reference_engine(outputs: dict[str, FloatArray]) -> str:
    """The engine whose output (in 8-bit levels) most others share to one level; the first of several such."""

    def supporters(name: str) -> int:
        return sum(difference(name, outputs[name], other).max_8bit <= 1 for other in outputs.values())

    return max(outputs, key=supporters)


def difference(name: str, reference: FloatArray, output: FloatArray) -> Difference:
    """Largest differences of two outputs in 8-bit levels; 255 for another shape or values that are not finite."""
    if output.shape != reference.shape or not (np.isfinite(output).all() and np.isfinite(reference).all()):
        return Difference(name, 255.0, 255)
    exact = float(np.abs(output - reference).max())
    rounded = [np.clip(np.rint(values), 0, 255) for values in (output, reference)]
    return Difference(name, exact, int(np.abs(rounded[0] - rounded[1]).max()))


def _info(subject: Subject, plan: Plan) -> BundleInfo:
    card = subject.card
    return BundleInfo(
        id=subject.id,
        name=card.name,
        architecture=card.architecture,
        scale=card.scale,
        method=card.method,
        parameters=card.parameters,
        gmacs_720p=card.gmacs_720p,
        files={file.name: file.bytes for file in card.files},
        quality=_quality(card),
        counterpart=plan.baseline or _counterpart(card, plan.subjects),
    )


def _quality(card: BundleCard) -> dict[str, dict[str, float]]:
    """The scores in the card's training record, whose form nothing else has checked."""
    metrics = card.training.get("metrics")
    entries = metrics.items() if isinstance(metrics, dict) else ()
    return {
        name: {key: float(value) for key, value in scores.items() if isinstance(value, int | float)}
        for name, scores in entries
        if isinstance(scores, dict) and isinstance(scores.get("psnr_y"), int | float)
    }


def _counterpart(card: BundleCard, subjects: Sequence[Subject]) -> str | None:
    """The dense bundle of the same architecture and scale; of several the largest network."""
    dense = [
        subject
        for subject in subjects
        if subject.card.method == "dense"
        and (subject.card.architecture, subject.card.scale) == (card.architecture, card.scale)
    ]
    return max(dense, key=lambda subject: subject.card.parameters).id if dense else None


def _row(entry: _Entry) -> Row:
    engine = ENGINES[entry.engine]
    row = Row(entry.subject.id, entry.engine, engine.kind, version(engine.package), precision=engine.precision)
    if entry.error is not None:
        return dataclasses.replace(row, failure=str(entry.error), hint=entry.error.hint or None)
    assert entry.worker
    return dataclasses.replace(
        row,
        load=entry.worker.load,
        first=entry.worker.first,
        cpu=summarise(entry.cpu),
        wall=summarise(entry.wall),
        cpu_samples=tuple(entry.cpu),
        wall_samples=tuple(entry.wall),
        memory=entry.memory,
        layers=entry.layers,
        difference=entry.difference,
    )


def _with_opponent(row: Row, results: Results) -> Row:
    """The row with its ratio to the fastest engine on the dense counterpart, if both were measured."""
    counterpart = results.info(row.bundle).counterpart
    opponent = results.fastest(counterpart) if counterpart else None
    if opponent is None or row.failure is not None:
        return row
    if results.settings.basis == "cpu":
        ratio = paired_ratio(opponent.cpu_samples, row.cpu_samples)
    else:
        ratio = paired_ratio(opponent.wall_samples, row.wall_samples)
    return dataclasses.replace(row, opponent=Opponent(opponent.bundle, opponent.engine, ratio))
