"""Baselines (schema `sparsr-baseline/1`): the figures of a release, which later ones are held against."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sparsr.bench.budgets.file import Budget, Entry
from sparsr.bench.budgets.metrics import METRICS
from sparsr.bench.budgets.observe import observe
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.model.records import read_record

SCHEMA = "sparsr-baseline/1"
DEFAULT_TOLERANCE = 0.05
_HINT = "make one with `sparsr bench baseline save BUDGETS --out FILE`"


@dataclass(frozen=True)
class Figure:
    """One figure of one case."""

    bundle: str
    target: str
    engine: str
    size: str
    threads: int
    metric: str
    value: float
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What it is the figure of."""
        return self.bundle, self.target, self.engine, self.size, self.threads, self.metric


@dataclass(frozen=True)
class Baseline:
    """The whole file."""

    created: str
    figures: tuple[Figure, ...]
    schema: str = SCHEMA


def save_baseline(entries: Sequence[Entry], path: Path) -> Baseline:
    """Take every figure that has a limit and write them. Raises `SparsrError` if one cannot be had: half a baseline
    would pass whatever it lacks."""
    figures = []
    for entry in entries:
        for name, observed in observe(entry, entry.limits).items():
            if observed.value is None:
                raise SparsrError(f"{entry.title}: {name} cannot be had: {observed.missing}", observed.hint)
            figures.append(Figure(*_case(entry.budget), name, observed.value, observed.machine))
    baseline = Baseline(datetime.now(UTC).isoformat(timespec="seconds"), tuple(figures))
    write_text(path, json.dumps(dataclasses.asdict(baseline), indent=1) + "\n")
    return baseline


def load_baseline(path: Path) -> Baseline:
    """Read the file back. Raises `SparsrError` if it is not one of this schema."""
    if not path.is_file():
        raise SparsrError(f"there is no baseline {path}", _HINT)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(data, dict) and data.get("schema") != SCHEMA:
            raise SparsrError(f"{path} has the schema {data.get('schema')!r}, not {SCHEMA!r}", _HINT)
        return read_record(Baseline, data, ignore_unknown=True)
    except (ValueError, RecursionError) as error:
        raise SparsrError(f"{path} is not a baseline ({error})", _HINT) from error


def against(entries: Sequence[Entry], baseline: Baseline, tolerance: float = DEFAULT_TOLERANCE) -> list[Entry]:
    """The entries with the baseline's figures as limits: times may be `tolerance` above, counts a little.

    Ratios of times carry over from machine to machine only roughly; `check` tells the noise of this one. Raises
    `SparsrError` for a figure the baseline lacks.
    """
    known = {figure.key: figure.value for figure in baseline.figures}
    return [
        dataclasses.replace(entry, limits={name: _limit(entry, name, known, tolerance) for name in entry.limits})
        for entry in entries
    ]


def _limit(entry: Entry, name: str, known: dict[tuple[object, ...], float], tolerance: float) -> float:
    key = (*_case(entry.budget), name)
    if key not in known:
        raise SparsrError(f"the baseline has no {name} of {entry.title}", _HINT)
    metric = METRICS[name]
    if metric.at_least:
        return known[key] - metric.slack
    return known[key] * (1 + (tolerance if metric.kind == "timed" else metric.slack))


def _case(budget: Budget) -> tuple[str, str, str, str, int]:
    return budget.bundle, budget.target, budget.engine, budget.size, budget.threads
