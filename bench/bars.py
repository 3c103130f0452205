"""The speed and memory SparSR promises, each as a measurement against the fastest dense engine.

A bar names the network that is to be fast, its dense original, and the ratio to reach. Bars that share size, threads
and instruction set are measured together, rounds interleaved. The opponent is the fastest engine not ours on the dense
network in that very run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from sparsr.bench.measure.compare import time_ratio
from sparsr.bench.measure.engines import ENGINES, SINGLE_PRECISION
from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.measure.results import Results, Row
from sparsr.bench.measure.statistics import PairedRatio
from sparsr.bench.report.units import MIB, milliseconds
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.media.images import read_image
from sparsr.runtime.model.bundle import Bundle

_PHOTO = Path(__file__).parent / "demo" / "photo.png"
OURS = tuple(name for name, engine in ENGINES.items() if engine.format == "native" or "sparsr" in name)
OPPONENTS = tuple(name for name in SINGLE_PRECISION if name not in OURS)
_LOWER = ("openvino-bf16", "openvino-int8")
"""What single precision loses to: these bars tell from which sparsity on it does not."""


@dataclass(frozen=True)
class Setting:
    """What bars measured in one run share."""

    width: int
    """Input pixels."""
    height: int
    threads: int = 1
    hide: bool = False
    """AVX-512 and AMX hidden from all engines."""
    picture: bool = False
    """A photograph, for networks whose speed depends on what they see; else noise."""

    def __str__(self) -> str:
        parts = [f"{self.width}x{self.height}", "1 thread" if self.threads == 1 else f"{self.threads} threads"]
        parts += ["AVX-512 hidden"] if self.hide else []
        return ", ".join(parts + (["a photograph"] if self.picture else []))


@dataclass(frozen=True)
class Bar:
    """One promise."""

    network: str
    """Folder of the bundle that is to be fast."""
    against: str
    """Folder of the bundle the opponents run; it may be the same."""
    ratio: float
    """How many times faster than the fastest opponent it is to be."""
    setting: Setting
    engine: str = "native"
    against_engines: tuple[str, ...] = OPPONENTS
    against_threads: int = 0
    """0: as many."""
    lower: bool = False
    """The opponent computes in lower precision, so its output may differ: no promise, but where the crossover is."""
    needs: str = ""
    """What the network's bundle is made of that not everybody has: without it the bar is not measured."""
    kept: int = 0
    """Of 32 weights; where the crossover is asked for."""

    @property
    def opponent(self) -> str:
        """Name of what it is compared with."""
        return f"{self.against} on {self.against_threads} thread" if self.against_threads else self.against


_LARGE, _SMALL = Setting(320, 180), Setting(160, 90)
_AVX2 = dataclasses.replace(_LARGE, hide=True)
_TWO = dataclasses.replace(_LARGE, threads=2)

_PICTURE = dataclasses.replace(_LARGE, picture=True)
_HOSTS = ("ort+sparsr", "litert+sparsr")

_SPARSE = (("8of32x4", 4.4, 3.1, 1.2), ("4of32x4", 7.8, 5.7, 2.2), ("2of32x4", 12.5, 9.5, 3.6))
"""N:M by V, and how many times faster it is to be than the fastest opponent, with AVX-512 and without, and than our own
dense engine."""

BARS = (
    *(Bar(f"edsr_x4_{form}", "edsr_x4", others, _LARGE) for form, others, _, _ in _SPARSE),
    *(Bar(f"edsr_x4_{form}", "edsr_x4", own, _LARGE, "native", ("native",)) for form, _, _, own in _SPARSE),
    Bar("edsr_x4_2of32", "edsr_x4", 9.5, _LARGE),
    *(Bar("edsr_x4_2of32x4", "edsr_x4_2of32x4", 0.95, _LARGE, host, ("native",)) for host in _HOSTS),
    *(
        Bar(f"edsr_x4_{n}of32x4", "edsr_x4", 1, _LARGE, "native", (engine,), lower=True, kept=n)
        for engine in _LOWER
        for n in (8, 4, 2)
    ),
    *(Bar(f"edsr_x4_{form}", "edsr_x4", others, _AVX2) for form, _, others, _ in _SPARSE),
    *(Bar(f"edsr_x4_{form}", "edsr_x4", own, _AVX2, "native", ("native",)) for form, _, _, own in _SPARSE),
    Bar("edsr_x4_2of32", "edsr_x4", 8, _AVX2),
    Bar("edsr_x4_2of32x4", "edsr_x4", 12.5, _TWO),
    Bar("edsr_x4_2of32x4", "edsr_x4_2of32x4", 1.85, _TWO, "native", ("native",), 1),
    Bar("edsr_x4", "edsr_x4", 1.85, _TWO, "native", ("native",), 1),
    Bar("assln_x4", "assln_x4", 2, _SMALL),
    Bar("assln_x4", "ledsr_x4", 40, _SMALL),
    Bar("smsr_x2", "smsr_dense_x2", 1 / 0.36, _PICTURE),
    Bar("smsr_official_x2", "smsr_dense_x2", 1 / 0.36, _PICTURE, needs="the authors' weights (set SPARSR_DATA)"),
)


@dataclass(frozen=True)
class Reached:
    """What a measurement says of a bar."""

    bar: Bar
    row: Row | None
    """The network's; None if it could not be measured."""
    opponent: Row | None
    ratio: PairedRatio | None
    failure: str = ""

    @property
    def met(self) -> bool:
        """Whether the ratio's median reaches the bar."""
        return self.ratio is not None and self.ratio.median >= self.bar.ratio


def measure_bars(
    folder: Path, bars: Sequence[Bar], rounds: int, done: Callable[[Setting, list[Reached], Results], None]
) -> list[Reached]:
    """Measure `bars` on the bundles in `folder`, a run per setting; `done` is called after each.

    Raises `SparsrError` if a bundle is missing that everybody can make.
    """
    reached: list[Reached] = []
    for setting, group in groupby(bars, key=lambda bar: bar.setting):
        together = list(group)
        present = [bar for bar in together if not bar.needs or (folder / bar.network).is_dir()]
        results = measure(_plan(folder, present or together, setting, rounds))
        part = [
            _judge(bar, results) if bar in present else Reached(bar, None, None, None, f"needs {bar.needs}")
            for bar in together
        ]
        done(setting, part, results)
        reached += part
    return reached


def _plan(folder: Path, bars: Sequence[Bar], setting: Setting, rounds: int) -> Plan:
    engines: dict[tuple[str, str, int], dict[str, None]] = {}
    for bar in bars:
        opponent = (bar.opponent, bar.against, bar.against_threads)
        engines.setdefault(opponent, {}).update(dict.fromkeys(bar.against_engines))
        engines.setdefault((bar.network, bar.network, 0), {})[bar.engine] = None
    subjects = tuple(
        Subject(name, Bundle.open(folder / bundle), tuple(used), threads)
        for (name, bundle, threads), used in engines.items()
    )
    image = read_image(_PHOTO).rgb if setting.picture else None
    return Plan(subjects, (), setting.width, setting.height, setting.threads, rounds, image=image, hide=setting.hide)


def _judge(bar: Bar, results: Results) -> Reached:
    rows = {(row.bundle, row.engine): row for row in results.rows}
    row = rows[bar.network, bar.engine]
    others = [rows[bar.opponent, name] for name in bar.against_engines]
    candidates = [other for other in others if other.failure is None and (other.correct or bar.lower)]
    opponent = min(candidates, key=results.time, default=None)
    if not row.correct or opponent is None:
        reason = row.failure or "no dense engine could be measured"
        return Reached(bar, None, opponent, None, reason if row.failure or row.correct else "its output is wrong")
    return Reached(bar, row, opponent, time_ratio(results, opponent, row))


def render(reached: Sequence[Reached], results: Results) -> str:
    """A line per bar, and one per opponent of lower precision."""
    lines = [_line(entry, results) for entry in reached]
    for (engine,) in dict.fromkeys(entry.bar.against_engines for entry in reached if entry.bar.kept):
        kept = crossover([entry for entry in reached if entry.bar.kept and entry.bar.against_engines == (engine,)])
        where = f"{kept:.1f} of 32 weights, interpolated" if kept else "not among these"
        lines.append(f"  crossover with {engine}: {where}")
    return "\n".join(lines)


def crossover(reached: Sequence[Reached]) -> float | None:
    """How many of 32 weights make a network as fast as its opponent, by the bars that say how many they keep.

    Between the measured numbers time is taken to grow linearly. None if none or all are faster.
    """
    times = sorted((entry.bar.kept, 1 / entry.ratio.median) for entry in reached if entry.ratio)
    for (fewer, low), (more, high) in pairwise(times):
        if low <= 1 < high:
            return fewer + (more - fewer) * (1 - low) / (high - low)
    return None


def _line(entry: Reached, results: Results) -> str:
    bar = entry.bar
    name = f"{bar.network} in {bar.engine}"
    if entry.row is None or entry.opponent is None or entry.ratio is None:
        return f"  {name:32} not measured: {entry.failure}"
    opponent = f"{entry.opponent.bundle} in {entry.opponent.engine}"
    ratio = f"{entry.ratio.median:.2f}x ({entry.ratio.low:.2f}..{entry.ratio.high:.2f})"
    verdict = "reached" if entry.met else "NOT reached"
    memory = f", {entry.row.memory.peak / MIB:.0f} MiB" if entry.row.memory else ""
    times = f"{milliseconds(results.time(entry.row))} against {milliseconds(results.time(entry.opponent))}"
    verdict += f"; {times}{memory}{_reason(entry, results)}"
    return f"  {name:32} {ratio:24} of {opponent}: bar {bar.ratio:g}x {verdict}"


def _reason(entry: Reached, results: Results) -> str:
    """That a bar asks for less time than the multiply-adds take on this processor, if so."""
    if entry.met or entry.row is None or entry.opponent is None:
        return ""
    wanted, threads = results.time(entry.opponent) / entry.bar.ratio, entry.bar.setting.threads
    bound = sum(group.bound for group in entry.row.layers) / threads
    peak = sum(group.peak for group in entry.row.layers) / threads
    if wanted >= bound:
        return ""
    return (
        f"; out of reach of this processor: it asks for {milliseconds(wanted)}, the multiply-adds alone take "
        f"{milliseconds(bound)} at the bound ({milliseconds(peak)} at the peak)"
    )


def save(runs: Sequence[Results], path: Path) -> None:
    """Write every run's results (schema sparsr-bench/1) as one JSON list, atomically."""
    write_text(path, json.dumps([dataclasses.asdict(results) for results in runs], indent=1) + "\n")


def chosen(names: Sequence[str]) -> list[Bar]:
    """Bars whose network is in `names`, all without names. Raises `SparsrError` for a name no bar has."""
    unknown = [name for name in names if name not in {bar.network for bar in BARS}]
    if unknown:
        known = ", ".join(dict.fromkeys(bar.network for bar in BARS))
        raise SparsrError(f"there is no bar for {unknown[0]}", f"known: {known}")
    return [bar for bar in BARS if not names or bar.network in names]
