"""The tables of the page: every measurement, the bundle's card, and what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparsr.bench.measure.layers import LEGEND
from sparsr.bench.measure.results import Results, Row
from sparsr.bench.report.markup import table, tag, text
from sparsr.bench.report.units import count, mebibytes, milliseconds, percent_floor
from sparsr.bench.targets.contract import LayerGroup
from sparsr.runtime.model.card import BundleCard, BundleFile


def measurements(results: Results) -> str:
    """A line per measured row, then a list of those that could not be."""
    header = (
        "Network",
        "Engine",
        "CPU, least",
        "Wall, median",
        "Wall, quartiles",
        "Memory, peak",
        "Off by",
        "Against dense",
    )
    rows = []
    for info in results.bundles:
        measured = [row for row in results.rows if row.bundle == info.id and row.failure is None]
        rows += [_measurement(row) for row in sorted(measured, key=results.time)]
    failed = "".join(tag("li", text(_failure(row))) for row in results.rows if row.failure is not None)
    missing = tag("p", "Not measured:") + tag("ul", failed, class_="plain") if failed else ""
    return (table(header, rows, 2) if rows else "") + missing


def layers(results: Results) -> str:
    """Tables of what the native engine did, layer by layer, folded; empty if it was not measured."""
    header = ("Kernel", "Layers", "Channels", "Size", "Time", "Multiply-adds", "GFLOP/s", "Of the peak", "Of the bound")
    parts = [
        tag("h3", text(f"{row.bundle} in {row.engine}")) + table(header, map(_layer, row.layers), 1)
        for row in results.rows
        if row.layers
    ]
    if not parts:
        return ""
    return tag("details", tag("summary", "Layer by layer"), *parts, tag("p", text(LEGEND), class_="note"))


def setting(results: Results) -> str:
    """Machine, system and versions as a list of terms."""
    machine, settings = results.machine, results.settings
    pinned = f", pinned to CPU {', '.join(map(str, settings.cpus))}" if settings.cpus else ""
    terms = {
        "Measured": results.created.replace("T", " "),
        "Input": f"{settings.width}×{settings.height} pixels, float32",
        "Runs": f"{settings.rounds} rounds, {settings.threads} thread{'s' if settings.threads > 1 else ''}{pinned}",
        "Processor": f"{machine.cpu}, {machine.architecture}, {machine.cores} CPUs available",
        "Vector instructions": " ".join(machine.isa) or None,
        "Frequency governor": machine.governor or "not shown by this machine",
        "Memory": mebibytes(machine.memory) if machine.memory else None,
        "System": f"{machine.system} {machine.kernel}, Python {machine.python}",
        "Packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
    }
    return _terms(terms)


def card_details(card: BundleCard) -> str:
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
    files = table(header, [_file(file) for file in card.files], 4)
    parts = [_terms(network), tag("h3", "Files"), files]
    if card.parity:
        summary = tag("summary", f"All {len(card.parity)} checks")
        parts += [tag("h3", "Parity certificate"), tag("details", summary, _parity(card))]
    if card.training:
        parts += [tag("h3", "Training"), _terms(card.training)]
    if card.tools:
        parts += [tag("h3", "Written with"), _terms(card.tools)]
    return "".join(parts)


def _measurement(row: Row) -> tuple[str, ...]:
    assert row.cpu and row.wall and row.difference
    ratio = row.opponent.ratio if row.opponent else None
    off = f"{row.difference.max_8bit}" if row.correct else f"{row.difference.max_8bit} (wrong)"
    return (
        text(row.bundle),
        text(f"{row.engine} {row.version or ''}"),
        milliseconds(row.cpu.minimum),
        milliseconds(row.wall.median),
        f"{milliseconds(row.wall.lower_quartile)} – {milliseconds(row.wall.upper_quartile)}",
        f"{mebibytes(row.memory.peak)}" if row.memory else "–",
        off,
        f"{ratio.median:.2f}× ({ratio.low:.2f} – {ratio.high:.2f})" if ratio else "–",
    )


def _layer(group: LayerGroup) -> tuple[str, ...]:
    shape = str(group.layers), f"{group.inputs}→{group.outputs}", f"{group.width}×{group.height}"
    figures = ("–",) * 4
    if group.multiply_adds:
        done = count(group.layers * group.multiply_adds)
        shares = f"{100 * group.of_peak:.0f} %", f"{100 * group.achieved:.0f} %"
        figures = done, f"{group.speed / 1e9:.1f}", *shares
    return text(group.kernel), *shape, milliseconds(group.seconds), *figures


def _file(file: BundleFile) -> tuple[str, ...]:
    digest = tag("code", text(file.sha256[:16]))
    return text(file.name), file.layout, text(" ".join(file.operators)), digest, mebibytes(file.bytes)


def _failure(row: Row) -> str:
    return f"{row.bundle} in {row.engine}: {row.failure}" + (f" ({row.hint})" if row.hint else "")


def _parity(card: BundleCard) -> str:
    return table(
        ("Step", "Image", "Largest difference", "8-bit equal", "8-bit off by"),
        [
            (
                text(entry.hop),
                text(entry.image),
                f"{entry.max_abs:.1e}",
                percent_floor(entry.identical_8bit),
                str(entry.max_8bit),
            )
            for entry in card.parity
        ],
        2,
    )


def _widths(widths: Mapping[str, int]) -> str:
    low, high = min(widths.values()), max(widths.values())
    return f"{low} channels each" if low == high else f"{low} to {high} channels"


def _terms(values: Mapping[str, Any]) -> str:
    """A definition list; dictionaries become lists inside, None is left out."""
    return tag(
        "dl", *(tag("dt", text(key)) + tag("dd", _value(value)) for key, value in values.items() if value is not None)
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _terms(value)
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    return text(value)
