"""The measured rows of several results files, each with the place it was measured at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sparsr.bench.measure.results import Results, Row


@dataclass(frozen=True)
class Case:
    """A row that was measured."""

    place: str
    """Where, in words no other results file of the report has."""
    results: Results
    row: Row

    @property
    def timed(self) -> bool:
        """Whether its times mean anything."""
        return self.row.source == "measured"

    @property
    def time(self) -> float:
        """Seconds it is ranked by."""
        return self.results.time(self.row)

    @property
    def pruned(self) -> bool:
        """Whether it is not a dense network itself."""
        return self.results.info(self.row.bundle).method != "dense"


def places(files: Sequence[Results]) -> list[str]:
    """A name for every results file: its machine; with size, threads and date where that does not tell them apart."""
    names = [results.machine.name or results.machine.cpu for results in files]
    settings = [results.settings for results in files]
    details: list[list[str]] = [
        [f"{own.width}×{own.height}" for own in settings],
        [f"{own.threads} thread{'s' * (own.threads > 1)}" for own in settings],
        [results.created.replace("T", " ") for results in files],
        [f"file {number}" for number in range(1, len(files) + 1)],
    ]
    for detail in details:
        count = Counter(names)
        names = [f"{name}, {more}" if count[name] > 1 else name for name, more in zip(names, detail, strict=True)]
    return names


def cases(files: Sequence[Results]) -> list[Case]:
    """All rows that were measured, in the files' order."""
    return [
        Case(place, results, row)
        for place, results in zip(places(files), files, strict=True)
        for row in results.rows
        if row.failure is None
    ]


def best(found: Sequence[Case]) -> list[Case]:
    """Of every bundle at every place the fastest correct case among SparSR's engines, and among the others.

    Each precision counts for itself. Only cases whose times mean something.
    """
    chosen: dict[tuple[str, str, str, str], Case] = {}
    for case in sorted((case for case in found if case.timed and usable(case.row)), key=lambda case: case.time):
        row = case.row
        chosen.setdefault((case.place, row.bundle, row.kind, row.precision), case)
    return list(chosen.values())


def usable(row: Row) -> bool:
    """Whether its output is what it should be; engines of lower precision may differ."""
    return row.correct or (row.failure is None and row.precision != "float32")
