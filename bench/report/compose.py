"""Composes a report: which sections there are, of results, baselines, a bundle's card and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsr.bench.budgets.baseline import Baseline
from sparsr.bench.measure.results import Results
from sparsr.bench.report import bars, details, figures, history, noise, points, ratios, sustained
from sparsr.bench.report.blocks import (
    Block,
    Charts,
    Comparison,
    Figures,
    Folded,
    Gallery,
    Heading,
    Note,
    Report,
    Section,
)
from sparsr.bench.report.cases import Case, best, cases
from sparsr.bench.report.gallery import Exhibit
from sparsr.bench.report.pictures import Pictures
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import BundleCard

_LATENCY = (
    "Every network in the fastest of SparSR's engines and, in pale, the fastest of the others. Bar: {time}. Line: the "
    "middle half of the runs. Coloured: pruned networks. Shorter is better."
)
_MEMORY = "Memory: what the engine adds to its process's peak."
_FRONT = "The line joins networks that no other beats in both quality and time. Time: the fastest engine."


@dataclass(frozen=True)
class Sources:
    """What a report is made of."""

    results: Sequence[Results]
    baselines: Sequence[Baseline] = ()
    bundle: Path | None = None
    """The bundle in front; None: the one that gained most."""
    pictures: Pictures | None = None
    exhibits: Sequence[Exhibit] = ()


def compose(sources: Sources) -> Report:
    """The report. Raises `SparsrError` if there are no results, or they do not hold the bundle."""
    if not sources.results:
        raise SparsrError("there are no results to report", "make some with `sparsr bench run ... --json FILE`")
    found = cases(sources.results)
    card = Bundle.open(sources.bundle).card if sources.bundle else None
    results, bundle = _lead(sources, found)
    info = results.info(bundle)
    sections = [
        _headline(results, bundle, card, found),
        _pictures(sources, card.name if card else bundle),
        _times(found),
        _quality(found),
        sustained.section(sources.results),
        details.counters(found),
        _layers(found),
        Section("More to see", [Gallery(sources.exhibits)]) if sources.exhibits else None,
        Section("All measurements", details.measurements(found, sources.results)),
        noise.section(sources.results),
        history.section(sources.baselines) if sources.baselines else None,
        Section("Machines and versions", [Folded("What was measured on", details.machines(sources.results))]),
        Section("The bundle", details.card_details(card)) if card else None,
    ]
    subtitle = f"{info.architecture.upper()} network, {_origin(info.method)}, enlarges images {info.scale} times"
    return Report(card.name if card else info.name, subtitle, [section for section in sections if section])


def _origin(method: str) -> str:
    return {"dense": "dense", "imported": "official weights"}.get(method, f"pruned by {method.upper()}")


def _lead(sources: Sources, found: Sequence[Case]) -> tuple[Results, str]:
    """The results and the id of the bundle the report is about."""
    known = [info.id for results in sources.results for info in results.bundles]
    if sources.bundle:
        bundle = sources.bundle.resolve().name
        if bundle not in known:
            raise SparsrError(f"the results hold no bundle {bundle}", f"they hold {', '.join(dict.fromkeys(known))}")
        holders = [results for results in sources.results if bundle in {info.id for info in results.bundles}]
        measured = [case.results for case in found if case.row.bundle == bundle and case.timed]
        return (measured or holders)[0], bundle
    gains = [case for case in best(found) if case.pruned and case.row.opponent and case.row.kind == "runtime"]
    if gains:
        most = max(gains, key=lambda case: case.row.opponent.ratio.median if case.row.opponent else 0.0)
        return most.results, most.row.bundle
    if not known:
        raise SparsrError("the results hold no bundle", "measure one with `sparsr bench run`")
    return next(results for results in sources.results if results.bundles), known[0]


def _headline(results: Results, bundle: str, card: BundleCard | None, found: Sequence[Case]) -> Section:
    blocks: list[Block] = [Figures(figures.figures(results, bundle, card))]
    if table := ratios.table(found):
        blocks += [Heading("Against the fastest dense runs"), table, Note(ratios.EXPLAINED)]
    return Section("What was gained", blocks)


def _pictures(sources: Sources, network: str) -> Section | None:
    return Section("Before and after", [Comparison(sources.pictures, network)]) if sources.pictures else None


def _times(found: Sequence[Case]) -> Section | None:
    timed = best(found)
    if not timed:
        return None
    bases = {case.results.settings.basis for case in timed}
    time = {"cpu": "least CPU time of all runs", "wall": "median wall time"}
    charts = {"latency": bars.latency(found)}
    if drawing := bars.memory(found):
        charts["memory"] = drawing
    note = _LATENCY.format(time=" or ".join(time[basis] for basis in sorted(bases)))
    return Section("Time and memory", [Charts(charts), Note(f"{note} {_MEMORY}" if "memory" in charts else note)])


def _quality(found: Sequence[Case]) -> Section | None:
    drawings = points.quality(found)
    return Section("Quality and time", [Charts(drawings), Note(_FRONT)]) if drawings else None


def _layers(found: Sequence[Case]) -> Section | None:
    profiled = [case.row for case in found if case.row.layers]
    if not profiled:
        return None
    charts = {f"layers_{number}": bars.layer_shares(row) for number, row in enumerate(profiled, 1)}
    return Section("Where the time goes", [Charts(charts), *details.layer_tables(found)])
