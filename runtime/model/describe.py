"""Cards in a few lines for people."""

from __future__ import annotations

from collections.abc import Iterable

from sparsr.runtime.model.card import BundleCard


def describe_card(card: BundleCard) -> str:
    """The card of a bundle with one network."""
    radius = card.receptive_radius
    widths = sorted(set(card.widths.values()))
    lines = [
        ("network", f"{card.name} ({card.architecture} x{card.scale}, {card.method})"),
        ("parameters", f"{card.parameters:,}, {card.work}"),
        ("convolutions", f"{len(card.widths)} of {widths[0]} to {widths[-1]} channels" if widths else "none"),
        ("values", f"0..{card.value_range:g}, at least {card.minimum_size}x{card.minimum_size} pixels"),
        (
            "tiles",
            "approximate (sees the whole picture)" if radius is None else f"exact with {radius} pixels around",
        ),
    ]
    if card.task:
        lines.insert(1, ("task", card.task.replace("_", " ")))
    if card.masked:
        work = card.masked
        text = (
            f"depends on the image: {work.best:.2f} GMACs with no pixel important, {work.typical:.2f} with half, "
            f"{work.worst:.2f} with all"
        )
        lines.insert(-3, ("speed", text))
    for file in card.files:
        size = f"{file.bytes / 1e6:.2f} MB"
        if card.nonzero < 0.999:
            size += f" ({file.bytes / (4 * card.parameters):.0%} of the dense weights)"
        text = f"{file.name}, {size}, {file.layout}: {' '.join(file.operators)}"
        lines.append((f"{file.format} file", text))
    if card.parity:
        worst = max(card.parity, key=lambda entry: entry.max_abs)
        same = min(entry.identical_8bit for entry in card.parity)
        text = f"largest difference {worst.max_abs:.1e} ({worst.hop}), {100 * same:.3f} % equal in 8 bit"
        lines.append(("parity", text))
    for name in ("data", "recipe", "steps", "terms", "borders"):
        if name in card.training:
            told = card.training[name]
            lines.append((name, str(told.get("name", "one of its own") if isinstance(told, dict) else told)))
    return aligned(lines)


def aligned(lines: Iterable[tuple[str, str]]) -> str:
    """Names and what there is to say of them, in two columns."""
    rows = [(f"{name}:", text) for name, text in lines]
    width = max((len(name) + 1 for name, _ in rows), default=0)
    return "\n".join(f"{name:{width}}{text}" for name, text in rows)
