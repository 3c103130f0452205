"""The contract between whoever measures and whatever is measured.

A `Target` is a place: this machine, a phone, a board, an emulator. It keeps files and runs jobs. A job is one engine
with one model, held by a process of its own, the worker. The measurer and the worker write one JSON object a line:

    measurer: Job                        worker: Ready    (loaded and warmed up)
    measurer: "run", as often as it likes          Sample (one inference)
    measurer: "stop"                               Finished, having written the last output

In place of any answer the worker may send a `Failure`. Python and C++ workers speak the same.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from sparsr.bench.targets.machine import Machine
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.records import read_record

Source = Literal["measured", "emulated", "model"]
"""Where a figure comes from: a real machine; an emulator, whose counts are exact and whose times mean nothing; or
arithmetic alone. A figure never goes without it."""

RUN, STOP = "run", "stop"


@dataclass(frozen=True)
class Job:
    """What a worker is to hold. All paths are the target's."""

    engine: str
    model: str
    """The model file."""
    threads: int
    cpus: tuple[int, ...]
    """CPUs to pin the process to; empty: do not."""
    image: str
    """Bare little-endian float32 values [height, width, 3], in the network's range."""
    width: int
    height: int
    output: str
    """Where the worker writes the last output, likewise bare float32 [height, width, 3]."""
    hide: bool = False
    """Whether the engine is to see no AVX-512 and no AMX."""
    warm_up: int = 1
    """Runs after the first one, before the worker is ready."""


@dataclass(frozen=True)
class Ready:
    """The model is loaded, run once and warmed up."""

    load: float
    """Seconds to import the engine and load the model."""
    first: float
    """Seconds of the first run."""


@dataclass(frozen=True)
class Sample:
    """One inference, in seconds."""

    cpu: float
    """Processor time of all threads; on a GPU the time it took there, without copies."""
    wall: float
    reference: float
    """Processor time of the worker's reference workload, run right after: fixed work on one thread that tells a
    throttled or shared processor from a slow network."""


@dataclass(frozen=True)
class Memory:
    """Peak resident memory of the worker process, in bytes; on a GPU what was allocated there."""

    baseline: int
    """Before the engine was imported: interpreter, numpy and the input image."""
    peak: int
    """Largest resident size from then on: engine, model and all runs."""
    proportional: int | None = None
    """Proportional set size in the end (PSS): pages shared with other processes count in part."""


@dataclass(frozen=True)
class Counters:
    """What does not depend on how fast the machine is, of one inference; null where the target cannot count it."""

    multiply_adds: int | None = None
    """As executed: by the kernels the native engine chose, or counted by an emulator."""
    instructions: int | None = None
    """Executed instructions."""
    heap: int | None = None
    """Peak bytes of the process's heap."""


@dataclass(frozen=True)
class LayerGroup:
    """Layers of a network that are alike, as the native engine ran them."""

    kernel: str
    """What computed it: the kernel of a convolution, else the kind of layer."""
    inputs: int
    """Channels."""
    outputs: int
    width: int
    """Pixels of the result, before depth-to-space."""
    height: int
    layers: int
    """How many there are."""
    multiply_adds: int
    """Of one layer for one image, as its kernel computes them; 0 if they are not counted."""
    seconds: float
    """CPU time of all of them for one image, all threads' together."""
    bound: float
    """Seconds the multiply-adds of all of them take as fast as their kernel can do them at best."""
    peak: float = 0.0
    """The same at the processor's peak."""

    @property
    def speed(self) -> float:
        """FLOP/s."""
        return 2 * self.layers * self.multiply_adds / max(self.seconds, 1e-9)

    @property
    def achieved(self) -> float:
        """Fraction of the bound."""
        return self.bound / max(self.seconds, 1e-9)

    @property
    def of_peak(self) -> float:
        """Fraction of the peak."""
        return self.peak / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Finished:
    """The output is written; what is known of the whole process."""

    output_width: int
    output_height: int
    memory: Memory | None
    counters: Counters | None = None
    layers: tuple[LayerGroup, ...] = ()
    """Of the native engine."""


@dataclass(frozen=True)
class Failure:
    """Why there is no other answer."""

    error: str
    hint: str = ""


Message = Job | Ready | Sample | Finished | Failure
Answer = TypeVar("Answer", Ready, Sample, Finished)


class WorkerError(SparsrError):
    """A worker could not do its job: an engine that is missing, refuses the model, crashes or hangs."""


def encode(message: Message) -> str:
    """A line, without its end."""
    return json.dumps(dataclasses.asdict(message))


def read_job(line: str) -> Job:
    """What the measurer asks for. Raises ValueError for anything else."""
    return read_record(Job, json.loads(line))


def read_answer(kind: type[Answer], line: bytes | str) -> Answer:
    """A worker's answer. Raises `WorkerError` for its `Failure`, and for a line that is no such answer."""
    try:
        data = json.loads(line)
        if isinstance(data, dict) and "error" in data:
            failure = read_record(Failure, data)
            raise WorkerError(failure.error, failure.hint)
        return read_record(kind, data, ignore_unknown=True)
    except (ValueError, RecursionError) as error:
        shown = line if isinstance(line, str) else line.decode(errors="replace")
        hint = "the worker is of another version than the measurer, or something else writes to its output"
        raise WorkerError(f"{shown[:80]!r} is not a worker's answer ({error})", hint) from error


class Session(Protocol):
    """A running worker, as the measurer sees it. Every method raises `WorkerError`."""

    ready: Ready

    def run(self) -> Sample:
        """One inference."""

    def finish(self) -> Finished:
        """Have the output written."""

    def close(self) -> None:
        """End the worker, whatever it is doing. May be called again; never raises."""


class Target(Protocol):
    """A place where bundles are measured. Methods raise `SparsrError` when the place cannot be reached."""

    name: str
    """As the user names it, for example `adb:SERIAL`."""
    source: Source
    engines: tuple[str, ...]
    """What can be measured there."""

    def probe(self) -> Machine:
        """What the place is."""

    def condition(self) -> dict[str, str]:
        """What changes while measuring, as far as the place tells: temperatures, battery. Never raises."""

    def cpus(self, threads: int, cores: str) -> tuple[int, ...]:
        """The CPUs to pin a worker of so many threads to; empty: leave that to the system.

        `cores`: `all`, `fastest`, `slowest` or numbers (see `cores.py`). Raises `SparsrError` if they are not known.
        """

    def put(self, file: Path, name: str) -> str:
        """Make a local file known there, under a name that no other has; its path there."""

    def path(self, name: str) -> str:
        """The path there of a file a worker is to write."""

    def run(self, job: Job, timeout: float) -> Session:
        """Start a worker and wait until it is ready; `timeout` seconds for each of its answers."""

    def get(self, path: str, file: Path) -> None:
        """Copy what a worker wrote to a local file."""

    def clean_up(self) -> None:
        """Leave nothing there, whatever happened before. May be called again."""
