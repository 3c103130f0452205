"""How near the native engine comes to what the processor can do at best, layer by layer."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsr.bench.measure.results import Row
from sparsr.bench.targets.contract import LayerGroup
from sparsr.runtime.cli.plan_table import run_plan
from sparsr.runtime.engines.native.costs import KERNELS

LEGEND = (
    "peak: multiply-adds on registers, measured here. bound: what the kernel allows at best: the peak; for the sparse "
    "kernel, which loads a vector for every multiply-add, what such loads from irregular places of the first cache "
    "allow, measured in the kernel's own loop (shared loads one for all outputs that share a pattern). Winograd's "
    "multiply-adds are its products; its transforms, and all other operations, are not counted."
)


def profile_layers(model: bytes, image: NDArray[np.float32], threads: int) -> tuple[LayerGroup, ...]:
    """A profiled run of a native model file on `image` [h, w, 3], layers that are alike taken together.

    Raises `SparsrError` if the engine cannot run it.
    """
    return group_layers(run_plan(model, image, threads))


def group_layers(plan: dict[str, Any]) -> tuple[LayerGroup, ...]:
    """The operations of a plan with times and peaks (see `run_plan`), in order of first appearance."""
    groups: dict[tuple[object, ...], LayerGroup] = {}
    for operation in plan["operations"]:
        done = _multiply_adds(operation)
        flops = plan["peak"]["arithmetic"]
        best = plan["peak"]["near_taps"] if operation["kernel"] == "sparse" else flops
        shape = (operation["inputs"], operation["outputs"], operation["width"], operation["height"])
        key = (operation["kernel"], "" if done else operation["kind"], *shape, done)
        name = operation["kernel"] if done else operation["kind"] or "copy"
        before = groups.get(key, LayerGroup(name, *shape, 0, done, 0.0, 0.0))
        groups[key] = dataclasses.replace(
            before,
            layers=before.layers + 1,
            seconds=before.seconds + operation["seconds"],
            bound=before.bound + 2 * done / best,
            peak=before.peak + 2 * done / flops,
        )
    return tuple(groups.values())


def _multiply_adds(operation: dict[str, Any]) -> int:
    """What a convolution's kernel computes; 0 for other operations and kernels."""
    return round(operation.get("kernel_macs", 0)) if operation["kernel"] in KERNELS else 0


def render(row: Row) -> str:
    """A line per group, then the whole network."""
    total = sum(group.seconds for group in row.layers)
    peak = _percent(sum(group.peak for group in row.layers), total)
    bound = _percent(sum(group.bound for group in row.layers), total)
    head = f"  {row.bundle} in {row.engine}, layer by layer: {peak} of the peak, {bound} of the bound"
    return "\n".join([head, *(_line(group, total) for group in row.layers)])


def render_all(rows: Sequence[Row]) -> str:
    """All rows that have layers, and what the figures mean; empty if none has."""
    profiled = [render(row) for row in rows if row.layers]
    legend = textwrap.wrap(LEGEND, 118, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*profiled, *legend]) if profiled else ""


def _line(group: LayerGroup, total: float) -> str:
    times = f"{group.layers:3} x" if group.layers > 1 else " " * 5
    shape = f"{group.inputs}->{group.outputs}"
    size = f"{group.width}x{group.height}"
    time = f"{1e3 * group.seconds:8.2f} ms {_percent(group.seconds, total):>5}"
    text = f"  {times} {group.kernel:16} {shape:>9} {size:>9} {time}"
    if not group.multiply_adds:
        return text
    done = group.layers * group.multiply_adds / 1e6
    shares = f"{100 * group.of_peak:3.0f} % of the peak, {100 * group.achieved:3.0f} % of the bound"
    return f"{text}  {done:>9,.1f} M multiply-adds {group.speed / 1e9:6.1f} GFLOP/s, {shares}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / max(whole, 1e-9):.0f} %"
