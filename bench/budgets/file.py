"""`budgets.toml` (schema `sparsr-budgets/1`) as dataclasses."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsr.bench.budgets.metrics import METRICS
from sparsr.bench.measure.engines import ENGINES
from sparsr.bench.targets.names import open_target
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.memory import parse_bytes
from sparsr.runtime.model.records import read_record
from sparsr.runtime.nearest import meant

SCHEMA = "sparsr-budgets/1"
_HINT = "docs/measuring.md describes the file"
_SIZES = ("file_size", "heap", "peak_memory")
_LARGEST = 2**20  # bytes of the file


@dataclass(frozen=True)
class Budget:
    """What one bundle may cost in one engine at one place. Paths are relative to the file."""

    bundle: str
    target: str = "cpu"
    engine: str = "native"
    size: str = "160x90"
    """Input pixels, WxH."""
    threads: int = 1
    rounds: int = 25
    """For time."""
    twin: str | None = None
    """The dense bundle of `time_to_twin`."""
    low: str | None = None
    """Folder of the pictures to enlarge for `psnr`."""
    high: str | None = None
    """Folder of the true pictures, of the same names."""
    file_size: str | None = None
    multiply_adds: float | None = None
    executed_multiply_adds: float | None = None
    instructions: float | None = None
    heap: str | None = None
    peak_memory: str | None = None
    time_to_twin: float | None = None
    time_to_reference: float | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Device's name -> limit."""
    psnr: float | None = None

    @property
    def width(self) -> int:
        """Input pixels."""
        return int(self.size.split("x")[0])

    @property
    def height(self) -> int:
        """Input pixels."""
        return int(self.size.split("x")[1])


@dataclass(frozen=True)
class Entry:
    """A budget with its limits in the figures' own units."""

    budget: Budget
    file: Path
    line: int
    """Where it stands."""
    limits: Mapping[str, float]
    """Metric -> limit; `milliseconds` is in the budget alone, because it depends on the device."""

    @property
    def title(self) -> str:
        """The case in a few words."""
        budget = self.budget
        return f"{Path(budget.bundle).name} on {budget.target}, {budget.engine} {budget.size}"

    def path(self, name: str) -> Path:
        """A path of the budget."""
        return self.file.parent / name


def read_budgets(path: Path) -> list[Entry]:
    """Every budget of a file. Raises `SparsrError` naming the entry and field that is wrong."""
    if not path.is_file():
        raise SparsrError(f"there is no budget file {path}", _HINT)
    if path.stat().st_size > _LARGEST:
        raise SparsrError(f"{path} has more than {_LARGEST >> 20} MiB", _HINT)
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SparsrError(f"{path} cannot be read: {error}", _HINT) from error
    if data.get("schema") != SCHEMA:
        raise SparsrError(f"{path} has the schema {data.get('schema')!r}, not {SCHEMA!r}", _HINT)
    unknown = [key for key in data if key not in ("schema", "defaults", "budget")]
    if unknown:
        raise SparsrError(f"{path}: there is nothing called {unknown[0]}", _HINT)
    entries, defaults = data.get("budget", []), data.get("defaults", {})
    if not (isinstance(entries, list) and entries and isinstance(defaults, dict)):
        raise SparsrError(f"{path} has no [[budget]]", _HINT)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("[[budget]]")]
    lines += [1] * (len(entries) - len(lines))
    return [_entry(path, line, data, defaults) for line, data in zip(lines, entries, strict=False)]


def _entry(path: Path, line: int, data: Any, defaults: Mapping[str, Any]) -> Entry:
    where = f"{path}:{line}"
    try:
        if not isinstance(data, dict):
            raise ValueError("it should be a table")
        fields = {**defaults, **data}
        # Sizes are texts like 3M; a bare number is one too.
        sizes = {name: f"{fields[name]:.0f}" for name in _SIZES if type(fields.get(name)) in (int, float)}
        budget = read_record(Budget, fields | sizes)
        limits = {name: _limit(name, getattr(budget, name)) for name in METRICS if name != "milliseconds"}
    except (ValueError, SparsrError) as error:
        raise SparsrError(f"{where}: {error}", f"known limits: {', '.join(METRICS)}; {_HINT}") from error
    entry = Entry(budget, path, line, {name: limit for name, limit in limits.items() if limit is not None})
    _check(entry, where)
    return entry


def _limit(name: str, value: float | str | None) -> float | None:
    if value is None:
        return None
    limit = float(parse_bytes(value) if isinstance(value, str) else value)
    if limit <= 0:
        raise ValueError(f"{name} should be above 0, not {limit:g}")
    return limit


def _check(entry: Entry, where: str) -> None:
    """Refuse what can never be checked."""
    budget, limits = entry.budget, entry.limits
    sides = budget.size.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise SparsrError(f"{where}: size {budget.size!r} is not like 160x90", _HINT)
    if budget.engine not in ENGINES:
        raise SparsrError(f"{where}: there is no engine {budget.engine!r}", meant(budget.engine, ENGINES))
    if budget.threads < 1 or budget.rounds < 3:
        raise SparsrError(f"{where}: threads should be at least 1 and rounds at least 3", _HINT)
    if not limits and not budget.milliseconds:
        raise SparsrError(f"{where}: the budget of {budget.bundle} limits nothing", f"name one of {', '.join(METRICS)}")
    if "time_to_twin" in limits and budget.twin is None:
        raise SparsrError(f"{where}: time_to_twin needs a twin", 'name the dense bundle: twin = "FOLDER"')
    if "psnr" in limits and not (budget.low and budget.high):
        raise SparsrError(f"{where}: psnr needs low and high", "name the folders of small and of true pictures")
    try:
        source = open_target(budget.target).source
    except SparsrError as error:
        raise SparsrError(f"{where}: {error}", error.hint) from error
    timed = [name for name in limits if METRICS[name].kind == "timed"] + ["milliseconds"] * bool(budget.milliseconds)
    if timed and source != "measured":
        hint = "limit instructions or executed_multiply_adds there; they are exact"
        raise SparsrError(f"{where}: {timed[0]} means nothing on {budget.target}, whose times are {source}", hint)
