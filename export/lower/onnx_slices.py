"""The rule that lowers Slice: channels chosen, rows and columns cut off or left out.

Exporters write a slice per axis; a chain of them that nothing else reads is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.ir.layers import Conv, Crop, CropLike, Part, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site

_PARTS = range(2, 9)
_Sizes = list[tuple[tuple[int, ...], tuple[int, ...]]]
"""Height and width before and after, for every image."""


@dataclass(frozen=True)
class _Line:
    """What is taken of an axis; the first place for every image."""

    starts: tuple[int, ...]
    step: int


def cut(site: Site) -> str:
    """Slice of channels, rows or columns."""
    sites, factor = site.chain_of("Slice")
    lines: dict[int, _Line] = {}
    for part in sites:
        for axis, line in _lines(part).items():
            part.require(axis not in lines, "it slices an axis twice")
            lines[axis] = line
    site.require(0 not in lines, "it slices the batch")
    first, channels, source = sites[0], lines.pop(1, None), sites[0].map()
    if factor != 1:
        source = site.emit(phases.scaled(first.channels(), factor), [source], ".scaled")
    if channels:
        source = _channels(first, site, channels, source, ".channels" if lines else "")
    return _pixels(first, site, lines, source) if lines else source


def _lines(site: Site) -> dict[int, _Line]:
    """By axis, those left out that take everything."""
    given = [site.attributes["starts"]] * len(site.probe.sizes) if "starts" in site.attributes else site.settings(1)
    starts = np.stack([np.ravel(values) for values in given]).T.tolist()
    steps = [int(value) for value in np.ravel(site.setting("steps", 4, [1] * len(starts)))]
    axes = [int(axis) % site.rank() for axis in np.ravel(site.setting("axes", 3, range(len(starts))))]
    before, after = [site.probe.values[name][0].shape for name in (site.node.input[0], site.output)]
    return {
        axis: _Line(tuple(own), step)
        for axis, own, step in zip(axes, starts, steps, strict=True)
        if any(own) or step != 1 or before[axis] != after[axis]
    }


def _channels(first: Site, site: Site, line: _Line, source: str, suffix: str) -> str:
    channels, wanted, start = first.channels(), site.probe.channels(site.output), line.starts[0]
    site.require(len(set(line.starts)) == 1, "which channels it takes depends on the image's size")
    start = max(start + channels if start < 0 else start, 0)
    if line.step == 1:
        return site.emit(SliceChannels(start, start + wanted), [source], suffix)
    chosen = min(start, channels - 1) + line.step * np.arange(wanted)
    return site.emit(phases.channel_map(np.eye(channels)[chosen]), [source], suffix)


def _pixels(first: Site, site: Site, lines: dict[int, _Line], source: str) -> str:
    steps = {axis: lines[axis].step if axis in lines else 1 for axis in (2, 3)}
    site.require(min(steps.values()) > 0, "it turns the image round")
    if set(steps.values()) != {1}:
        return _left_out(first, site, lines, steps, source)
    sizes, channels = (
        list(zip(first.size(), site.probe.size(site.output), strict=True)),
        site.probe.channels(site.output),
    )
    amounts = set()
    for image, (before, after) in enumerate(sizes):
        starts = [lines[axis].starts[image] if axis in lines else 0 for axis in (2, 3)]
        top, left = (start + side if start < 0 else start for start, side in zip(starts, before, strict=True))
        amounts.add((top, left, before[0] - after[0] - top, before[1] - after[1] - left))
    if len(amounts) == 1:
        amount = amounts.pop()
        return site.emit(Crop(amount, channels), [source]) if any(amount) else source
    if parts := _equal_parts(sizes, lines):
        return site.chain([*((f".part{part.axis}", part) for part in parts[:-1]), ("", parts[-1])], source)
    like = None if any(any(line.starts) for line in lines.values()) else site.like(site.probe.size(site.output))
    if like is None:
        site.refuse("what it cuts off depends on the image's size")
    most = max(before[axis] - after[axis] for before, after in sizes for axis in (0, 1))
    return site.emit(CropLike(most), [source, like])


def _equal_parts(sizes: _Sizes, lines: dict[int, _Line]) -> list[Part] | None:
    """The half, third, ... of the rows, the columns or both that is taken at every size; None if it is none."""
    found = []
    for axis in sorted(lines):
        part = next(filter(None, (_part(sizes, lines[axis], axis - 2, count) for count in _PARTS)), None)
        if part is None:
            return None
        found.append(part)
    return found


def _part(sizes: _Sizes, line: _Line, axis: int, count: int) -> Part | None:
    indices = set()
    for image, (before, after) in enumerate(sizes):
        start = line.starts[image] + (before[axis] if line.starts[image] < 0 else 0)
        if after[axis] * count != before[axis] or start % after[axis]:
            return None
        indices.add(start // after[axis])
    return Part(axis, indices.pop(), count) if len(indices) == 1 else None


def _left_out(first: Site, site: Site, lines: dict[int, _Line], steps: dict[int, int], source: str) -> str:
    """Every second row and column and the like: a convolution of one tap with a stride."""
    site.require(steps[2] == steps[3], f"its steps {steps[2]} and {steps[3]} differ")
    starts = {lines[axis].starts if axis in lines else (0,) for axis in (2, 3)}
    site.require(all(len(set(own)) == 1 and own[0] >= 0 for own in starts), "it leaves out pixels from the end on")
    top, left = (lines[axis].starts[0] if axis in lines else 0 for axis in (2, 3))
    channels, step = site.probe.channels(site.output), steps[2]
    for before, after in zip(first.size(), site.probe.size(site.output), strict=True):
        whole = (-(-(before[0] - top) // step), -(-(before[1] - left) // step))
        site.require(after == whole, "it cuts off and leaves out pixels at once")
    if top or left:
        source = site.emit(Crop((top, left, 0, 0), channels), [source], ".first")
    weight = np.ones((channels, 1, 1, 1), np.float32)
    return site.emit(Conv(weight, np.zeros(channels, np.float32), stride=step, groups=channels), [source])
