"""The rules that lower Pad: borders of given amounts, or as large as a multiple or another map asks for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparsr.export.ir.layers import Crop, CropLike, Layer, PadEdge, PadReflect, PadToMultiple, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site

Padding = tuple[int, int, int, int]
"""Top, left, bottom, right."""
_MULTIPLES = (2, 4, 8, 16, 32, 64)


def pad(site: Site) -> str:
    """Pad of rows and columns with zeros, the border pixel, or mirrored."""
    amounts = _amounts(site)
    border = _border(site)
    padding = amounts[0]
    if len(set(amounts)) > 1:
        return _grown(site, amounts, border)
    if min(padding) < 0:
        site.require(max(padding) <= 0, "it pads and crops at once")
        top, left, bottom, right = (-amount for amount in padding)
        return site.emit(Crop((top, left, bottom, right), site.channels()), [site.map()])
    return site.emit(border(padding), [site.map()])


def _amounts(site: Site) -> list[Padding]:
    """For every image."""
    given = [site.attributes["pads"]] if "pads" in site.attributes else site.settings(1)
    axes = [int(axis) % 4 for axis in site.weights(3, "axes")] if site.has(3) else list(range(4))
    found: list[Padding] = []
    for values in given:
        spread = np.zeros((2, 4), int)
        spread[:, axes] = np.asarray(values).reshape(2, -1)
        site.require(not spread[:, :2].any(), "it pads the batch or the channels")
        (top, left), (bottom, right) = spread[:, 2:].tolist()
        found.append((top, left, bottom, right))
    return found


def _border(site: Site) -> Callable[[Padding], Layer]:
    """The layer for some amounts."""
    mode = site.attributes.get("mode", b"constant").decode()
    value = site.setting("value", 2, 0.0) if mode == "constant" else 0
    site.require(
        mode in ("constant", "edge", "reflect") and not np.any(value),
        f"the mode {mode} with the value {value} is not handled",
    )
    if mode == "constant":
        return lambda padding: phases.zero_padded(site.channels(), padding)
    return PadEdge if mode == "edge" else PadReflect


def _grown(site: Site, amounts: list[Padding], border: Callable[[Padding], Layer]) -> str:
    """As much on the right and below as is missing to a multiple, or to another map's size: more, and what is too much
    cut off."""
    site.require(
        not any(top or left for top, left, _, _ in amounts), "it pads above or on the left by amounts that differ"
    )
    site.require(min(min(padding) for padding in amounts) >= 0, "it pads and crops at once")
    sizes = list(zip(site.size(), site.probe.size(site.output), strict=True))
    rounded = (m for m in _MULTIPLES if all(after == tuple(s + -s % m for s in before) for before, after in sizes))
    multiple = next(rounded, None)
    most = max(max(padding) for padding in amounts)
    if multiple:
        source = site.map() if border is PadEdge else site.emit(SliceChannels(0, 1), [site.map()], ".one")
        grown = PadToMultiple(multiple, multiple)
        if border is PadEdge:
            return site.emit(grown, [source])
        like, most = site.emit(grown, [source], ".like"), multiple - 1
    else:
        found = site.like(site.probe.size(site.output))
        if found is None:
            site.refuse("its amounts depend on the image's size, and lead to no multiple and no other map's size")
        like, most = found, (1 << most.bit_length()) - 1  # at sizes that were not looked at it may be more
    wide = site.emit(border((0, 0, most, most)), [site.map()], ".wide")
    return site.emit(CropLike(most), [wide, like])
