"""What a measurement gives: the file `sparsr-bench/1`, as dataclasses.

The JSON file is `Results` field by field: times in seconds, sizes in bytes, series in the order of the rounds.
A field that was not measured is null. A later version that adds fields keeps the schema's name; one that
changes or removes any gets a new number.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sparsr.bench.measure.statistics import PairedRatio, Summary
from sparsr.bench.measure.sustained import Moment
from sparsr.bench.targets.contract import Counters, LayerGroup, Memory, Source
from sparsr.bench.targets.machine import Machine
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.model.records import read_record

SCHEMA = "sparsr-bench/1"

Basis = Literal["cpu", "wall"]


@dataclass(frozen=True)
class Settings:
    """How the measurement was made."""

    width: int
    """Input pixels."""
    height: int
    threads: int
    rounds: int
    """Rounds completed; each round measures every worker once, in the same order."""
    basis: Basis
    """What engines are ranked and ratios formed by: `cpu` (process CPU time of all threads) for one thread,
    where it hides the machine's other work; `wall` for more, where CPU time would hide waiting."""
    cpus: tuple[int, ...]
    """CPUs the workers were pinned to; empty where pinning is not possible."""
    hidden: bool = False
    """Whether AVX-512 and AMX were hidden from all engines."""


@dataclass(frozen=True)
class BundleInfo:
    """The part of a bundle's card that a reader of the results needs."""

    id: str
    """Name used by the rows: the bundle's folder."""
    name: str
    architecture: str
    scale: int
    method: str
    parameters: int
    gmacs_720p: float
    files: dict[str, int]
    """Bytes of each model file."""
    quality: dict[str, dict[str, float]]
    """What the card says of it: {data set: {"psnr_y": dB, "ssim_y": ...}}; empty if nothing."""
    counterpart: str | None
    """Id of the dense bundle it is compared with; its own id for that bundle itself."""
    nonzero: float = 1.0
    """Share of `gmacs_720p` whose weight is not zero."""

    @property
    def work(self) -> float:
        """10^9 multiply-adds for a 1280x720 output whose weight is not zero."""
        return self.gmacs_720p * self.nonzero


@dataclass(frozen=True)
class Difference:
    """How far the output is from that of the bundle's reference engine, for the same input."""

    reference: str
    """The engine that most others agree with."""
    max_abs: float
    """Largest difference before rounding, in 8-bit levels."""
    max_8bit: int
    """Largest difference after rounding and clipping to 8 bits."""


@dataclass(frozen=True)
class Opponent:
    """The fastest engine on the dense counterpart, and how it compares with this row."""

    bundle: str
    engine: str
    ratio: PairedRatio
    """The opponent's time divided by this row's, round by round: above 1, this row is faster."""


@dataclass(frozen=True)
class Row:
    """One bundle in one engine."""

    bundle: str
    engine: str
    kind: Literal["runtime", "rival"]
    """`runtime`: an engine SparSR's runtime offers; `rival`: one it is only compared with."""
    version: str | None
    """Version of the engine's package."""
    failure: str | None = None
    """Why there is no measurement; null if there is one."""
    hint: str | None = None
    load: float | None = None
    """Import, load and compile."""
    first: float | None = None
    """The first run, wall."""
    cpu: Summary | None = None
    wall: Summary | None = None
    cpu_samples: tuple[float, ...] = ()
    wall_samples: tuple[float, ...] = ()
    memory: Memory | None = None
    difference: Difference | None = None
    opponent: Opponent | None = None
    precision: str = "float32"
    """What it computes in."""
    layers: tuple[LayerGroup, ...] = ()
    """Of the native engine."""
    target: str = "cpu"
    """Where it ran."""
    source: Source = "measured"
    """Where its figures come from."""
    reference_samples: tuple[float, ...] = ()
    """CPU seconds of the reference workload, right after each inference."""
    counters: Counters | None = None
    """What does not depend on the machine's speed."""
    stored: Difference | None = None
    """Of a phone, a board or an emulator: from the result stored in the bundle, for the picture stored there."""

    @property
    def correct(self) -> bool:
        """Measured, and within one 8-bit level of the reference engine and of the bundle's stored result."""
        close = self.difference is not None and self.difference.max_8bit <= 1
        return self.failure is None and close and self.as_stored is not False

    @property
    def as_stored(self) -> bool | None:
        """Whether the bundle's stored result came out; half precision may be off by two levels. None: not checked."""
        allowed = 1 if self.precision == "float32" else 2
        return None if self.stored is None else self.stored.max_8bit <= allowed


@dataclass(frozen=True)
class Device:
    """What changes on a place while it is measured: temperatures, battery."""

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """The whole file."""

    created: str
    """UTC, ISO 8601."""
    machine: Machine
    settings: Settings
    bundles: tuple[BundleInfo, ...]
    rows: tuple[Row, ...]
    device: Device = Device()
    sustained: tuple[Moment, ...] = ()
    """How the first row that was measured went on without a pause; empty if it was not asked to."""
    schema: str = SCHEMA

    def fastest(self, bundle: str, kind: str | None = None) -> Row | None:
        """The fastest correct row of a bundle in single precision, of one kind of engine or of all."""
        rows = [
            row
            for row in self.rows
            if row.bundle == bundle and row.correct and row.precision == "float32" and kind in (None, row.kind)
        ]
        return min(rows, key=self.time, default=None)

    def opponent(self, row: Row) -> Row | None:
        """The row this one is compared with, None if there is none or it is that row itself."""
        if row.opponent is None:
            return None
        key = (row.opponent.bundle, row.opponent.engine)
        return next((other for other in self.rows if (other.bundle, other.engine) == key and other is not row), None)

    def time(self, row: Row) -> float:
        """The figure a measured row is ranked by: CPU-time minimum or wall median."""
        assert row.cpu and row.wall
        return row.cpu.minimum if self.settings.basis == "cpu" else row.wall.median

    def info(self, bundle: str) -> BundleInfo:
        """The bundle with that id; KeyError if there is none."""
        for info in self.bundles:
            if info.id == bundle:
                return info
        raise KeyError(bundle)


def save(results: Results, path: str | Path) -> None:
    """Write the JSON file, atomically."""
    write_text(path, json.dumps(dataclasses.asdict(results), indent=1) + "\n")


def load(path: str | Path) -> Results:
    """Read a JSON file back. Raises `SparsrError` if it is not one of this schema."""
    path = Path(path)
    hint = "make one with `sparsr bench run ... --json FILE`"
    if not path.is_file():
        raise SparsrError(f"there is no results file {path}", hint)
    return parse(path.read_bytes(), str(path), hint)


def parse(text: bytes, path: str, hint: str) -> Results:
    """From the bytes of such a file, called `path` in errors. Raises `SparsrError` if it is none of this schema."""
    try:
        data = json.loads(text.decode("utf-8"))
        if data["schema"] != SCHEMA:
            raise SparsrError(f"{path} has the schema {data['schema']!r}, not {SCHEMA}", hint)
        return read_record(Results, data, ignore_unknown=True)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SparsrError(f"{path} is not a results file ({type(error).__name__}: {error})", hint) from error
