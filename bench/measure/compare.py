"""How far the outputs of engines are from each other, and how their times compare."""

from __future__ import annotations

import dataclasses

import numpy as np

from sparsr.bench.measure.results import Difference, Opponent, Results, Row
from sparsr.bench.measure.statistics import PairedRatio, paired_ratio
from sparsr.runtime.samples import FloatArray


def reference_engine(outputs: dict[str, FloatArray]) -> str:
    """The engine whose output (in 8-bit levels) most others share to one level; the first of several such."""

    def supporters(name: str) -> int:
        return sum(difference(name, outputs[name], other).max_8bit <= 1 for other in outputs.values())

    return max(outputs, key=supporters)


def difference(name: str, reference: FloatArray, output: FloatArray) -> Difference:
    """Largest differences of two outputs in 8-bit levels; 255 for another shape or values that are not finite."""
    if output.shape != reference.shape or not (np.isfinite(output).all() and np.isfinite(reference).all()):
        return Difference(name, 255.0, 255)
    exact = float(np.abs(output - reference).max())
    rounded = [np.clip(np.rint(values), 0, 255) for values in (output, reference)]
    return Difference(name, exact, int(np.abs(rounded[0] - rounded[1]).max()))


def time_ratio(results: Results, numerator: Row, denominator: Row) -> PairedRatio:
    """The one's times divided by the other's, round by round, in what the results rank by."""
    if results.settings.basis == "cpu":
        return paired_ratio(numerator.cpu_samples, denominator.cpu_samples)
    return paired_ratio(numerator.wall_samples, denominator.wall_samples)


def with_opponents(results: Results) -> Results:
    """The results, each row with its ratio to the fastest engine on the dense counterpart, if both were measured."""
    return dataclasses.replace(results, rows=tuple(_with_opponent(row, results) for row in results.rows))


def _with_opponent(row: Row, results: Results) -> Row:
    counterpart = results.info(row.bundle).counterpart
    opponent = results.fastest(counterpart) if counterpart else None
    if opponent is None or row.failure is not None or row.source != "measured":
        return row
    ratio = time_ratio(results, opponent, row)
    return dataclasses.replace(row, opponent=Opponent(opponent.bundle, opponent.engine, ratio))
