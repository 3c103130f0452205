"""Everything a budget can limit: a row of the table per figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sparsr.bench.report.units import count, giga, mebibytes

Kind = Literal["card", "counted", "timed", "quality"]
"""How a figure is had: read from the bundle; counted while it runs; timed; computed from pictures."""


@dataclass(frozen=True)
class Metric:
    """A figure that can be limited."""

    meaning: str
    """What it is, for the documentation and for messages."""
    kind: Kind
    show: Callable[[float], str]
    at_least: bool = False
    """The limit is a lower one."""
    slack: float = 0.0
    """What a baseline's value may be exceeded by: a fraction, or decibels for a lower limit."""


def _operations(number: float) -> str:
    return giga(number / 1e9) if number >= 1e9 else count(number)


METRICS: dict[str, Metric] = {
    "file_size": Metric("bytes of the file the engine reads", "card", lambda value: mebibytes(int(value)), slack=0.005),
    "multiply_adds": Metric(
        "multiply-adds for a 1280x720 output whose weight is not zero, by the bundle's card",
        "card",
        _operations,
        slack=0.001,
    ),
    "executed_multiply_adds": Metric(
        "multiply-adds executed for one input: by the native engine's kernels, or counted by the emulator",
        "counted",
        _operations,
        slack=0.01,
    ),
    "instructions": Metric(
        "instructions executed for one input, counted by the emulator", "counted", _operations, slack=0.005
    ),
    "heap": Metric(
        "peak bytes of the heap, counted by the runner", "counted", lambda value: mebibytes(int(value)), slack=0.01
    ),
    "peak_memory": Metric(
        "bytes the engine adds to its process's peak", "counted", lambda value: mebibytes(int(value)), slack=0.1
    ),
    "time_to_twin": Metric(
        "time, divided by the dense twin's in the same engine", "timed", lambda value: f"{value:.3g}x"
    ),
    "time_to_reference": Metric(
        "time, divided by the reference workload's on the same processor", "timed", lambda value: f"{value:.3g}x"
    ),
    "milliseconds": Metric("milliseconds on a device called by its name", "timed", lambda value: f"{value:.3g} ms"),
    "psnr": Metric(
        "PSNR of the luma over pairs of pictures", "quality", lambda value: f"{value:.2f} dB", at_least=True, slack=0.01
    ),
}
"""In the order they are checked in: what costs nothing first."""
