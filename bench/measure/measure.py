"""The measurement: a worker per bundle and engine, rounds interleaved, outputs compared.

All workers are loaded and warmed up first. A round then asks each in turn for one inference while the others
sleep, so that whatever disturbs the machine for a while disturbs all of them, and times of one round can be
compared pair by pair. On several threads a turn is two inferences, of which the second counts.
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

from sparsr.bench.measure.compare import difference, reference_engine, with_opponents
from sparsr.bench.measure.engines import ENGINES
from sparsr.bench.measure.here import HERE, expected_here
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.measure.results import Basis, BundleInfo, Device, Difference, Results, Row, Settings
from sparsr.bench.measure.statistics import summarise
from sparsr.bench.measure.stored import check_stored
from sparsr.bench.measure.sustained import Moment, sustain
from sparsr.bench.targets.contract import Finished, Job, Sample, Session
from sparsr.bench.targets.machine import version
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.progress import Progress

MIN_ROUNDS = 3


@dataclass(eq=False)
class _Entry:
    """A row in the making."""

    subject: Subject
    engine: str
    output: Path
    job: Job | None = None
    session: Session | None = None
    error: SparsrError | None = None
    samples: list[Sample] = field(default_factory=list)
    finished: Finished | None = None
    difference: Difference | None = None
    stored: Difference | None = None

    def fail(self, error: SparsrError) -> None:
        """Leave the measurement, with the reason."""
        self.error = error
        self.close()

    def close(self) -> None:
        """End the worker."""
        if self.session:
            self.session.close()


def measure(plan: Plan) -> Results:
    """Measure every bundle of the plan in every engine. What fails becomes a row with its reason.

    Raises `SparsrError` for a plan that cannot be carried out, before anything is started, and for a target that cannot
    be reached. Nothing is left on the target.
    """
    plan.check()
    basis: Basis = "cpu" if plan.threads == 1 else "wall"
    with ExitStack() as stack:
        stack.callback(plan.target.clean_up)
        machine = plan.target.probe()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparsr-bench-")))
        entries = [
            _Entry(subject, engine, folder / f"{number}-{engine}.out")
            for number, subject in enumerate(plan.subjects)
            for engine in subject.engines or plan.engines
        ]
        for entry in entries:
            stack.callback(entry.close)
        cpus = plan.target.cpus(plan.threads, plan.cores)
        _start(plan, entries, folder)
        time.sleep(plan.cool_down)
        before = plan.target.condition()
        rounds = _run_rounds(plan, entries)
        moments = _sustain(plan, entries)
        device = Device(before, plan.target.condition())
        _finish(plan, entries, folder)
        _compare(plan, entries)
    settings = Settings(plan.width, plan.height, plan.threads, rounds, basis, cpus, plan.hide)
    infos = tuple(_info(subject, plan) for subject in plan.subjects)
    rows = tuple(_row(plan, entry) for entry in entries)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return with_opponents(Results(created, machine, settings, infos, rows, device, moments))


def _start(plan: Plan, entries: Sequence[_Entry], folder: Path) -> None:
    """Load every worker, one after the other: conversion and compilation may use what memory there is."""
    images = {subject.id: _put_image(plan, subject, number, folder) for number, subject in enumerate(plan.subjects)}
    models: dict[Path, str] = {}
    with Progress("loading and warming up", len(entries), "engines") as progress:
        for entry in entries:
            threads = entry.subject.threads or plan.threads
            try:
                file = _model_file(entry.subject, entry.engine)
                if file not in models:
                    models[file] = plan.target.put(file, f"{len(models)}-{file.name}")
                entry.job = Job(
                    entry.engine,
                    models[file],
                    threads,
                    plan.target.cpus(threads, plan.cores),
                    images[entry.subject.id],
                    plan.width,
                    plan.height,
                    plan.target.path(entry.output.name),
                    plan.hide,
                )
                entry.session = plan.target.run(entry.job, plan.timeout)
            except SparsrError as error:
                entry.fail(error)
            progress.advance()


def _put_image(plan: Plan, subject: Subject, number: int, folder: Path) -> str:
    file = folder / f"input-{number}"
    plan.input_image(subject.card.value_range).astype("<f4").tofile(file)
    return plan.target.put(file, file.name)


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
                _take_turn(entry, plan.threads)
            progress.advance()
    return plan.rounds


def _take_turn(entry: _Entry, threads: int) -> None:
    assert entry.session
    try:
        if threads > 1:  # pools of threads wait spinning, and would have a core while it is another engine's turn
            entry.session.run()
        entry.samples.append(entry.session.run())
    except SparsrError as error:
        entry.fail(error)


def _sustain(plan: Plan, entries: Sequence[_Entry]) -> tuple[Moment, ...]:
    """Run the first entry on, if the plan wants it; empty if it cannot go on."""
    first = next((entry for entry in entries if entry.error is None), None)
    if not plan.sustained or first is None:
        return ()
    assert first.session
    try:
        return sustain(first.session, plan.sustained)
    except SparsrError as error:
        first.fail(error)
        return ()


def _finish(plan: Plan, entries: Sequence[_Entry], folder: Path) -> None:
    for entry in entries:
        if entry.error is not None:
            continue
        assert entry.session and entry.job
        try:
            entry.finished = entry.session.finish()
            plan.target.get(plan.target.path(entry.output.name), entry.output)
            entry.session.close()
            if plan.away:
                entry.stored = check_stored(plan, entry.subject, entry.job, folder)
        except SparsrError as error:
            entry.fail(error)
        entry.close()


def _compare(plan: Plan, entries: Sequence[_Entry]) -> None:
    """Fill in how far each output is from the one that most engines of its bundle agree with."""
    for subject in plan.subjects:
        done = [entry for entry in entries if entry.subject is subject and entry.error is None]
        outputs = {}
        for entry in done:
            assert entry.finished
            values = np.fromfile(entry.output, "<f4")
            height, width = entry.finished.output_height, entry.finished.output_width
            if values.size != height * width * 3:
                entry.fail(SparsrError(f"its output has {values.size} values, not {height} x {width} x 3"))
                continue
            outputs[entry.engine] = values.reshape(height, width, 3) * np.float32(255 / subject.card.value_range)
        if not outputs:
            continue
        here = expected_here(plan, subject)
        reference = reference_engine(outputs) if here is None else HERE
        if here is not None:
            outputs[HERE] = here
        for entry in done:
            if entry.error is None:
                entry.difference = difference(reference, outputs[reference], outputs[entry.engine])


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
        nonzero=card.nonzero,
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


def _row(plan: Plan, entry: _Entry) -> Row:
    engine = ENGINES[entry.engine]
    row = Row(
        entry.subject.id,
        entry.engine,
        engine.kind,
        version(engine.package),
        precision=engine.precision,
        target=plan.target.name,
        source=plan.target.source,
    )
    if entry.error is not None:
        return dataclasses.replace(row, failure=str(entry.error), hint=entry.error.hint or None)
    assert entry.session and entry.finished
    cpu, wall = [sample.cpu for sample in entry.samples], [sample.wall for sample in entry.samples]
    return dataclasses.replace(
        row,
        load=entry.session.ready.load,
        first=entry.session.ready.first,
        cpu=summarise(cpu),
        wall=summarise(wall),
        cpu_samples=tuple(cpu),
        wall_samples=tuple(wall),
        reference_samples=tuple(sample.reference for sample in entry.samples),
        memory=entry.finished.memory,
        counters=entry.finished.counters,
        layers=entry.finished.layers,
        difference=entry.difference,
        stored=entry.stored,
    )
