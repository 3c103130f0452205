"""How often time checks are wrong: `python -m sparsr.bench.budgets.rates BUNDLE`.

Several processes hold the same bundle and are measured interleaved, as in a check. From these real samples checks are
drawn: three processes (A, A' and the twin) and a stretch of consecutive rounds, which keeps what neighbouring rounds
share; a second draw is the repetition. The limit is the true ratio, one: the tightest budget there is. A slow-down is
seeded by multiplying the samples of A and A'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsr.bench.budgets.noise import timing
from sparsr.bench.measure import results as results_file
from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.runtime.errors import SparsrError, run_cli
from sparsr.runtime.model.bundle import Bundle

SLOWER = (0.0, 0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Rate:
    """What checks say of a network that became slower."""

    slower: float
    """By which fraction; 0: not at all."""
    checks: int
    alarms: int
    """Checks that say the limit is broken, having repeated the measurement."""
    first: int
    """Checks whose first measurement alone said so."""


def rates(samples: NDArray[np.float64], rounds: int, checks: int, slower: Sequence[float] = SLOWER) -> list[Rate]:
    """A row per slow-down. `samples`: seconds [processes, rounds measured]; each check takes `rounds` of them.

    Raises `SparsrError` for fewer than three processes, or fewer rounds than a check takes.
    """
    if samples.ndim != 2 or samples.shape[0] < 3 or samples.shape[1] < rounds:
        raise SparsrError(f"samples of shape {samples.shape} are too few", f"3 processes and {rounds} rounds at least")
    found = []
    for amount in slower:
        rng = np.random.default_rng(0)
        first = [_alarm(samples, rounds, amount, rng) for _ in range(checks)]
        alarms = sum(_alarm(samples, rounds, amount, rng) for alarm in first if alarm)
        found.append(Rate(amount, checks, alarms, sum(first)))
    return found


def _alarm(samples: NDArray[np.float64], rounds: int, slower: float, rng: np.random.Generator) -> bool:
    case, again, twin = rng.choice(len(samples), 3, replace=False)
    start = rng.integers(samples.shape[1] - rounds + 1)
    stretch = samples[:, start : start + rounds]
    factor = 1 + slower
    return timing(factor * stretch[case], factor * stretch[again], stretch[twin]).exceeds(1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or read what was measured, and print the rates as a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m sparsr.bench.budgets.rates", description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle, or the results of an earlier call")
    parser.add_argument("--processes", type=int, default=6, metavar="N", help="default 6")
    parser.add_argument("--measured", type=int, default=150, metavar="N", help="rounds to measure (default 150)")
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="rounds of a check (default 25)")
    parser.add_argument("--checks", type=int, default=1000, metavar="N", help="to draw (default 1000)")
    parser.add_argument("--engine", default="native", help="default native")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the raw samples")
    options = parser.parse_args(arguments)
    return run_cli(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    if options.bundle.is_file():
        measured = results_file.load(options.bundle)
    else:
        bundle = Bundle.open(options.bundle)
        subjects = tuple(Subject(f"process-{number}", bundle) for number in range(options.processes))
        measured = measure(Plan(subjects, (options.engine,), 160, 90, 1, options.measured))
        if options.json:
            results_file.save(measured, options.json)
    if failed := [row for row in measured.rows if row.failure]:
        raise SparsrError(failed[0].failure or "", failed[0].hint or "")
    samples = np.array([row.cpu_samples for row in measured.rows])
    print("| slower by | checks | first measurement above | alarms |\n| ---: | ---: | ---: | ---: |")
    for rate in rates(samples, options.rounds, options.checks):
        shares = [f"{100 * count / rate.checks:.1f} %" for count in (rate.first, rate.alarms)]
        print(f"| {100 * rate.slower:.0f} % | {rate.checks} | {shares[0]} | {shares[1]} |")


if __name__ == "__main__":
    sys.exit(main())
