"""What the native engine does with a network and what convolutions cost, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from sparsr.runtime.engines.contract import Precision
from sparsr.runtime.engines.native.costs import KERNELS, layer_cost, peak
from sparsr.runtime.engines.native.load import HALF, NativeModel, PixelArray
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.memory import format_bytes
from sparsr.runtime.sparsity import Sparsity

_SHAPE = ("layer", "kernel", "in", "out", "size", "weights", "MMACs", "dense", "rows", "memory")
_HEAD = (*_SHAPE, "ms", "share", "peak", "taps")


def run_plan(model: bytes, image: PixelArray, threads: int, precision: Precision = "fp32") -> dict[str, Any]:
    """The plan of a native model file (see `NativeModel.plan`) from a timed run on `image` (see `NativeModel.run`).

    Adds `peak`, what one thread does at best (see `costs.Peak`), and for networks with masks `masked`
    (see `MaskedCost`). Raises `SparsrError` if the library cannot be built or the model does not take the size or the
    precision.
    """
    native = NativeModel(model, HALF if precision == "fp16" else None, threads=threads)
    result = np.empty_like(image, shape=native.output_shape(*image.shape[:2]))
    native.run(image, result)
    native.set_profiling(True)
    native.run(image, result)
    plan = native.plan()
    if cost := masked_cost(plan["operations"]):
        plan["masked"] = {**asdict(cost), "crossover": cost.crossover}
    return {**plan, "peak": asdict(peak(native.info.instruction_set.decode()))}


def plan_table(plan: dict[str, Any]) -> str:
    """A line per operation: what it computes, on which kernel, in what memory and time, and how near to the peak.

    taps: of sparse kernels, how near to what loads at irregular places of the first cache allow.
    """
    operations = plan["operations"]
    total = sum(operation["seconds"] for operation in operations) or 1.0
    peaks = {name: flops / 1e9 for name, flops in plan["peak"].items()}
    rows = [_HEAD, *(_plan_row(operation, total, plan["peak"]) for operation in operations)]
    convolutions = [operation for operation in operations if "macs" in operation]
    cost = sum(operation["cost"] for operation in convolutions)
    measured = all(operation["measured"] for operation in convolutions)
    return "\n".join(
        [
            *_aligned(rows),
            f"{plan['width']}x{plan['height']}, {plan['instruction_set']}, {plan['threads']} threads: "
            f"{1e3 * total:.1f} ms of CPU, convolutions {'measured' if measured else 'estimated'} to {1e3 * cost:.1f}; "
            f"{format_bytes(plan['buffer_bytes'])} of feature maps",
            *_masked_lines(operations),
            f"peak of a thread: {peaks['arithmetic']:.0f} GFLOP/s; with a load for each multiply-add "
            f"{peaks['loading']:.0f}, at irregular places as taps have them {peaks['near_taps']:.0f} in 16 channels, "
            f"{peaks['far_taps']:.0f} in 64",
        ]
    )


@dataclass(frozen=True)
class MaskedCost:
    """CPU seconds of one thread for all masked blocks of an image: with no pixel important, with all, without masks."""

    none: float
    all: float
    without_masks: float
    measured: bool

    @property
    def crossover(self) -> float:
        """Share of important pixels (0..1) up to which masks cost no time; 1: they never do."""
        if self.all <= self.without_masks:
            return 1.0
        return max(self.without_masks - self.none, 0.0) / (self.all - self.none)


def masked_cost(operations: Sequence[dict[str, Any]]) -> MaskedCost | None:
    """What the masked blocks among a plan's operations cost; None if there are none."""
    masked = [operation for operation in operations if isinstance(operation.get("cost"), dict)]
    if not masked:
        return None
    sums = {key: sum(operation["cost"][key] for operation in masked) for key in ("none", "all", "without_masks")}
    return MaskedCost(**sums, measured=all(operation["measured"] for operation in masked))


def _masked_lines(operations: Sequence[dict[str, Any]]) -> list[str]:
    cost = masked_cost(operations)
    if cost is None:
        return []
    known = "measured" if cost.measured else "estimated"
    pay = "always pay" if cost.crossover == 1 else f"pay up to {100 * cost.crossover:.0f} % important pixels"
    none, every, without = (f"{1e3 * seconds:.1f}" for seconds in (cost.none, cost.all, cost.without_masks))
    return [
        f"masked blocks, {known}: {none} ms with no pixel important, {every} with all, {without} without masks; "
        f"masks {pay}"
    ]


def _plan_row(operation: dict[str, Any], total: float, peaks: dict[str, float]) -> tuple[str, ...]:
    seconds = operation["seconds"]
    weights = macs = share_of_dense = of_peak = of_taps = ""
    if "macs" in operation:
        weights, macs = f"{operation['weights']}", f"{operation['macs'] / 1e6:.0f}"
        share_of_dense = f"{operation['weights'] / operation['dense_weights']:.3f}"
        flops = 2 * operation["macs"] / max(seconds, 1e-9)
        of_peak = f"{100 * flops / peaks['arithmetic']:.0f} %"
        of_taps = f"{100 * flops / peaks['near_taps']:.0f} %" if operation["kernel"] == "sparse" else ""
    return (
        operation["layer"] or "copy",
        operation["kernel"],
        str(operation["inputs"]),
        str(operation["outputs"]),
        f"{operation['width']}x{operation['height']}",
        weights,
        macs,
        share_of_dense,
        str(operation["ring_rows"]),
        format_bytes(operation["ring_bytes"]),
        f"{1e3 * seconds:.2f}",
        f"{100 * seconds / total:.1f} %",
        of_peak,
        of_taps,
    )


@dataclass(frozen=True)
class ConvolutionCost:
    """CPU seconds of one thread for one row of a convolution's result, by kernel; without those that cannot run it."""

    inputs: int
    outputs: int
    side: int
    sparsity: Sparsity | None
    width: int
    seconds: dict[str, float]
    measured: bool


def convolution_costs(
    shapes: Sequence[tuple[int, int, int]], sparsities: Sequence[Sparsity | None], width: int
) -> list[ConvolutionCost]:
    """Costs of every shape (inputs, outputs, side) with every sparsity; see `layer_cost`."""
    return [_convolution_cost(*shape, sparsity, width) for shape in shapes for sparsity in sparsities]


def _convolution_cost(inputs: int, outputs: int, side: int, sparsity: Sparsity | None, width: int) -> ConvolutionCost:
    measured = partial(layer_cost, inputs, outputs, side, sparsity, width)
    best = measured()  # raises if the shape itself is impossible
    seconds: dict[str, float] = {}
    for kernel in KERNELS:
        try:
            seconds[kernel] = measured(kernel=kernel).seconds
        except SparsrError:
            continue
    return ConvolutionCost(inputs, outputs, side, sparsity, width, seconds, best.measured)


def cost_table(costs: Sequence[ConvolutionCost]) -> str:
    """A line per convolution: microseconds a row on each kernel."""
    rows = [("in", "out", "side", "sparsity", *KERNELS, "us a row")]
    for cost in costs:
        sparsity = str(cost.sparsity or "dense")
        times = [f"{1e6 * cost.seconds[kernel]:.1f}" if kernel in cost.seconds else "-" for kernel in KERNELS]
        source = "measured" if cost.measured else "estimated"
        rows.append((str(cost.inputs), str(cost.outputs), str(cost.side), sparsity, *times, source))
    return "\n".join(_aligned(rows))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([*_left(row[:2], widths), *_right(row[2:], widths[2:])]) for row in rows]


def _left(texts: tuple[str, ...], widths: list[int]) -> list[str]:
    return [text.ljust(width) for text, width in zip(texts, widths, strict=False)]


def _right(texts: tuple[str, ...], widths: list[int]) -> list[str]:
    return [text.rjust(width) for text, width in zip(texts, widths, strict=True)]
