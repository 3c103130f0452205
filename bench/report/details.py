"""The tables of the report: every measurement, counters, layers, machines, and the bundle's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparsr.bench.measure.layers import LEGEND
from sparsr.bench.measure.results import Results, Row
from sparsr.bench.report.blocks import Block, Folded, Heading, Note, Section, Table, Terms
from sparsr.bench.report.cases import Case, places
from sparsr.bench.report.units import count, mebibytes, milliseconds, percent_floor
from sparsr.bench.targets.contract import LayerGroup
from sparsr.runtime.model.card import BundleCard, BundleFile, ParityEntry

_PROTOCOL = (
    "Every engine ran in a process of its own, on the same input. The processes took turns, one inference each. "
    "Against dense: time of the fastest engine in single precision on the dense network divided by the row's, "
    "round by round; their median and its confidence interval; above 1 the row is faster. Off by: the largest "
    "difference, in 8-bit levels, from the output most engines agree with; an engine more than 1 off is never compared "
    "with. Memory: peak of the process, on this machine with Python; PSS: in the end, shared pages in part."
)


def measurements(found: Sequence[Case], files: Sequence[Results]) -> list[Block]:
    """A line per timed row, then those that could not be measured."""
    several = len(files) > 1
    header = ["Network", "Engine", *(["Where"] if several else [])]
    figures = [
        "CPU, least",
        "Wall, median",
        "p90",
        "p95",
        "First run",
        "Memory, peak",
        "PSS",
        "Off by",
        "Against dense",
    ]
    timed = sorted((case for case in found if case.timed), key=lambda case: (case.row.bundle, case.place, case.time))
    blocks: list[Block] = []
    if timed:
        rows = [_measurement(case, several) for case in timed]
        blocks += [Table([*header, *figures], rows, len(header)), Note(_PROTOCOL)]
    else:
        blocks.append(Note("No time was measured."))
    failed = [row for results in files for row in results.rows if row.failure is not None]
    if failed:
        lines = [(row.bundle, row.engine, row.failure or "", row.hint or "") for row in failed]
        blocks += [Heading("Not measured"), Table(("Network", "Engine", "Reason", "Hint"), lines, 4)]
    return blocks


def _measurement(case: Case, several: bool) -> list[str]:
    row = case.row
    assert row.cpu and row.wall
    ratio = row.opponent.ratio if row.opponent else None
    return [
        row.bundle,
        f"{row.engine} {row.version or ''}".strip(),
        *([case.place] if several else []),
        milliseconds(row.cpu.minimum),
        milliseconds(row.wall.median),
        *(_milliseconds(seconds) for seconds in (row.wall.p90, row.wall.p95, row.first)),
        mebibytes(row.memory.peak) if row.memory else "–",
        mebibytes(row.memory.proportional) if row.memory and row.memory.proportional else "–",
        _off_by(row),
        f"{ratio.median:.2f}× ({ratio.low:.2f} – {ratio.high:.2f})" if ratio else "–",
    ]


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else milliseconds(seconds)


def _off_by(row: Row) -> str:
    if row.difference is None:
        return "–"
    wrong = " (wrong)" if not row.correct and row.precision == "float32" else ""
    return f"{row.difference.max_8bit}{wrong}"


def counters(found: Sequence[Case]) -> Section | None:
    """What was counted instead of timed; None if nothing was."""
    rows = [
        (
            case.row.bundle,
            case.row.engine,
            case.place,
            case.row.source,
            *(_counted(value) for value in (case.row.counters.multiply_adds, case.row.counters.instructions)),
            mebibytes(case.row.counters.heap) if case.row.counters.heap else "–",
        )
        for case in found
        if case.row.counters
    ]
    header = ("Network", "Engine", "Where", "Source", "Multiply-adds", "Instructions", "Heap, peak")
    note = Note("Executed for one image. These figures do not depend on how fast or busy the machine is.")
    return Section("Counted", [Table(header, rows, 4), note]) if rows else None


def _counted(value: int | None) -> str:
    return "–" if value is None else count(value)


def layer_tables(found: Sequence[Case]) -> list[Block]:
    """What the native engine did, layer by layer, folded; empty if it was not measured."""
    header = ("Kernel", "Layers", "Channels", "Size", "Time", "Multiply-adds", "GFLOP/s", "Of the peak", "Of the bound")
    blocks: list[Block] = []
    for row in (case.row for case in found if case.row.layers):
        blocks += [Heading(f"{row.bundle} in {row.engine}"), Table(header, [_layer(group) for group in row.layers], 1)]
    return [Folded("Layer by layer", [*blocks, Note(LEGEND)])] if blocks else []


def _layer(group: LayerGroup) -> list[str]:
    shape = str(group.layers), f"{group.inputs}→{group.outputs}", f"{group.width}×{group.height}"
    figures = ("–",) * 4
    if group.multiply_adds:
        done = count(group.layers * group.multiply_adds)
        shares = f"{100 * group.of_peak:.0f} %", f"{100 * group.achieved:.0f} %"
        figures = done, f"{group.speed / 1e9:.1f}", *shares
    return [group.kernel, *shape, milliseconds(group.seconds), *figures]


def machines(files: Sequence[Results]) -> list[Block]:
    """What was measured on, and how."""
    blocks: list[Block] = []
    for place, results in zip(places(files), files, strict=True):
        blocks += [Heading(place), Terms(_machine(results))]
    return blocks


def _machine(results: Results) -> dict[str, Any]:
    machine, settings = results.machine, results.settings
    pinned = f", pinned to CPU {', '.join(map(str, settings.cpus))}" if settings.cpus else ""
    hidden = ", AVX-512 hidden" if settings.hidden else ""
    python = f", Python {machine.python}" if machine.python else ""
    return {
        "Measured": results.created.replace("T", " "),
        "Source": ", ".join(dict.fromkeys(row.source for row in results.rows)),
        "Input": f"{settings.width}×{settings.height} pixels",
        "Runs": f"{settings.rounds} rounds, {settings.threads} thread{'s' * (settings.threads > 1)}{pinned}{hidden}",
        "Processor": f"{machine.cpu}, {machine.architecture}, {machine.cores} CPUs available",
        "Vector instructions": " ".join(machine.isa) or None,
        "Frequency governor": machine.governor or "not shown by this machine",
        "Memory": mebibytes(machine.memory) if machine.memory else None,
        "System": f"{machine.system} {machine.kernel}{python}",
        **machine.facts,
        "Before": results.device.before or None,
        "After": results.device.after or None,
        "Packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()) or None,
    }


def card_details(card: BundleCard) -> list[Block]:
    """The bundle's card for people: the network, its files, its parity certificate, its training."""
    radius = card.receptive_radius
    network = {
        "Architecture": f"{card.architecture}, ×{card.scale}",
        "Method": card.method,
        "Parameters": count(card.parameters),
        "Work": card.work,
        "Convolutions": f"{len(card.widths)}, {_widths(card.widths)}" if card.widths else None,
        "Receptive radius": "the whole image" if radius is None else f"{radius} pixels (tiles are exact)",
        "Smallest input": f"{card.minimum_size}×{card.minimum_size}",
        "Values": f"0 to {card.value_range:g}, RGB",
    }
    header = ("File", "Layout", "Operators", "SHA-256", "Size")
    blocks: list[Block] = [Terms(network), Heading("Files"), Table(header, [_file(file) for file in card.files], 4)]
    if card.parity:
        blocks += [Heading("Parity certificate"), Folded(f"All {len(card.parity)} checks", [_parity(card)])]
    if card.training:
        blocks += [Heading("Training"), Terms(card.training)]
    if card.tools:
        blocks += [Heading("Written with"), Terms(card.tools)]
    return blocks


def _file(file: BundleFile) -> list[str]:
    return [file.name, file.layout, " ".join(file.operators), file.sha256[:16], mebibytes(file.bytes)]


def _parity(card: BundleCard) -> Table:
    header = ("Step", "Image", "Largest difference", "To float64", "8-bit equal", "8-bit off by")
    rows = [
        (
            entry.hop,
            entry.image,
            f"{entry.max_abs:.1e}",
            _exact(entry),
            percent_floor(entry.identical_8bit),
            str(entry.max_8bit),
        )
        for entry in card.parity
    ]
    return Table(header, rows, 2)


def _exact(entry: ParityEntry) -> str:
    return "" if entry.max_abs_float64 is None else f"{entry.max_abs_float64:.1e}"


def _widths(widths: Mapping[str, int]) -> str:
    low, high = min(widths.values()), max(widths.values())
    return f"{low} channels each" if low == high else f"{low} to {high} channels"
