"""The rule that lowers Slice: channels chosen, rows and columns cut off or left out.

Exporters write a slice per axis; a chain of them that nothing else reads is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsr.export.ir.layers import Conv, Crop, CropLike, SliceChannels
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_site import Site


@dataclass(frozen=True)
class _Line:
    """What is taken of an axis."""

    start: int
    step: int


def cut(site: Site) -> str:
    """Slice of channels, rows or columns."""
    sites = site.chain_of("Slice")
    lines: dict[int, _Line] = {}
    for part in sites:
        for axis, line in _lines(part).items():
            part.require(axis not in lines, "it slices an axis twice")
            lines[axis] = line
    site.require(0 not in lines, "it slices the batch")
    channels = lines.pop(1, None)
    if channels and lines:
        site.refuse("slices of channels and pixels at once are not handled")
    return _channels(sites[0], site, channels) if channels else _pixels(sites[0], site, lines)


def _lines(site: Site) -> dict[int, _Line]:
    """By axis, those left out that take everything."""
    starts = [int(value) for value in np.ravel(site.setting("starts", 1))]
    steps = [int(value) for value in np.ravel(site.setting("steps", 4, [1] * len(starts)))]
    axes = [int(axis) % 4 for axis in np.ravel(site.setting("axes", 3, range(len(starts))))]
    before, after = [site.probe.values[name][0].shape for name in (site.node.input[0], site.output)]
    return {
        axis: _Line(start, step)
        for axis, start, step in zip(axes, starts, steps, strict=True)
        if (start, step) != (0, 1) or before[axis] != after[axis]
    }


def _channels(first: Site, site: Site, line: _Line) -> str:
    channels, wanted = first.channels(), site.probe.channels(site.output)
    start = max(line.start + channels if line.start < 0 else line.start, 0)
    if line.step == 1:
        return site.emit(SliceChannels(start, start + wanted), [first.map()])
    chosen = min(start, channels - 1) + line.step * np.arange(wanted)
    return site.emit(phases.channel_map(np.eye(channels)[chosen]), [first.map()])


def _pixels(first: Site, site: Site, lines: dict[int, _Line]) -> str:
    steps = {axis: lines[axis].step if axis in lines else 1 for axis in (2, 3)}
    site.require(min(steps.values()) > 0, "it turns the image round")
    if set(steps.values()) != {1}:
        return _left_out(first, site, lines, steps)
    sizes = list(zip(first.size(), site.probe.size(site.output), strict=True))
    amounts = set()
    for before, after in sizes:
        starts = [lines[axis].start if axis in lines else 0 for axis in (2, 3)]
        top, left = (start + side if start < 0 else start for start, side in zip(starts, before, strict=True))
        amounts.add((top, left, before[0] - after[0] - top, before[1] - after[1] - left))
    if len(amounts) == 1:
        amount = amounts.pop()
        return site.emit(Crop(amount, site.channels()), [first.map()]) if any(amount) else first.map()
    like = None if any(line.start for line in lines.values()) else site.like(site.probe.size(site.output))
    if like is None:
        site.refuse("what it cuts off depends on the image's size")
    most = max(before[axis] - after[axis] for before, after in sizes for axis in (0, 1))
    return site.emit(CropLike(most), [first.map(), like])


def _left_out(first: Site, site: Site, lines: dict[int, _Line], steps: dict[int, int]) -> str:
    """Every second row and column and the like: a convolution of one tap with a stride."""
    site.require(steps[2] == steps[3], f"its steps {steps[2]} and {steps[3]} differ")
    top, left = (lines[axis].start if axis in lines else 0 for axis in (2, 3))
    site.require(min(top, left) >= 0, "it leaves out pixels from the end on")
    source, channels, step = first.map(), first.channels(), steps[2]
    for before, after in zip(first.size(), site.probe.size(site.output), strict=True):
        whole = (-(-(before[0] - top) // step), -(-(before[1] - left) // step))
        site.require(after == whole, "it cuts off and leaves out pixels at once")
    if top or left:
        source = site.emit(Crop((top, left, 0, 0), channels), [source], ".first")
    weight = np.ones((channels, 1, 1, 1), np.float32)
    return site.emit(Conv(weight, np.zeros(channels, np.float32), stride=step, groups=channels), [source])
