"""The command line `bench run`."""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from pathlib import Path

from sparsr.bench.measure import layers, results
from sparsr.bench.measure.engines import ENGINES, SINGLE_PRECISION
from sparsr.bench.measure.in_app import UnusableAppError, measure_in_app
from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.report import table
from sparsr.bench.targets.contract import Target
from sparsr.bench.targets.cores import NAMED
from sparsr.bench.targets.names import open_target, target_names
from sparsr.runtime.command_line import positive
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image
from sparsr.runtime.model.bundle import Bundle

_LONGEST = 3000
"""Seconds: a device ends its worker after an hour."""


def add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run`."""
    run = commands.add_parser(
        "run",
        help="measure bundles in engines, interleaved",
        description="Time and memory of every bundle in every engine, each in its own process, rounds interleaved.",
    )
    run.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    run.add_argument("--size", type=_size, default=(160, 90), metavar="WxH", help="input pixels (default 160x90)")
    run.add_argument("--threads", type=positive, default=1, metavar="N", help="per engine (default 1)")
    run.add_argument("--target", default="cpu", metavar="NAME", help=f"where: {target_names()} (default cpu)")
    run.add_argument(
        "--engines", type=_names, metavar="A,B", help=f"of {','.join(ENGINES)} (default: those in float32)"
    )
    run.add_argument("--rounds", type=positive, default=15, metavar="N", help="default 15")
    run.add_argument(
        "--max-seconds", type=float, default=120, metavar="S", help="end early, after 3 rounds (default 120)"
    )
    run.add_argument(
        "--timeout", type=float, default=300, metavar="S", help="for one answer of an engine (default 300)"
    )
    run.add_argument(
        "--image", type=Path, metavar="FILE", help="a picture to measure with, for networks whose speed depends on it"
    )
    run.add_argument(
        "--app", action="store_true", help="on adb: in SparSR's app, if it is there and has the bundles; else as always"
    )
    run.add_argument("--cores", default="all", metavar="WHICH", help=f"{', '.join(NAMED)} or numbers like 0,4-7")
    run.add_argument("--cool-down", type=_seconds, default=0, metavar="S", help="rest before the first round")
    run.add_argument(
        "--sustained",
        type=_seconds,
        default=0,
        metavar="S",
        help="run the first network on for S seconds, without pause",
    )
    run.add_argument("--hide", choices=["avx512"], help="hide AVX-512 and AMX from every engine, as on a CPU with AVX2")
    run.add_argument("--baseline", type=Path, metavar="BUNDLE", help="the dense bundle to compare all others with")
    run.add_argument("--layers", action="store_true", help="the native engine's layers and their share of the bound")
    run.add_argument("--json", type=Path, metavar="OUT", help="write the results (schema sparsr-bench/1)")
    run.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    subjects = _subjects([*options.bundles, *([options.baseline] if options.baseline else [])])
    named = options.baseline and next(
        subject.id for subject in subjects if _same(subject.bundle.path, options.baseline)
    )
    width, height = options.size
    target = open_target(options.target)
    engines = options.engines or _engines_for(subjects, target)
    plan = Plan(
        subjects,
        engines,
        width,
        height,
        options.threads,
        options.rounds,
        named,
        options.max_seconds,
        read_image(options.image).rgb if options.image else None,
        bool(options.hide),
        options.timeout,
        target,
        options.cores,
        options.cool_down,
        options.sustained,
    )
    measured = (options.app and _in_app(plan)) or measure(plan)
    if options.json:
        results.save(measured, options.json)
    print(table.render(measured))
    if options.layers:
        print("", layers.render_all(measured.rows) or "no bundle was measured in the native engine", sep="\n")
    if all(row.failure for row in measured.rows):
        raise SparsrError("no engine could be measured", "the table says why; `sparsr doctor` helps")
    return 0


def _engines_for(subjects: tuple[Subject, ...], target: Target) -> tuple[str, ...]:
    """The target's engines in single precision, or all if it has none such, that some bundle has a file for."""
    formats = {file.format for subject in subjects for file in subject.card.files}
    there = [name for name in target.engines if ENGINES[name].format in formats]
    return tuple(name for name in SINGLE_PRECISION if name in there) or tuple(there) or target.engines


def _in_app(plan: Plan) -> results.Results | None:
    """In the app; None, having said why, where it cannot be done."""
    try:
        return measure_in_app(plan)
    except UnusableAppError as error:
        print(f"not in the app: {error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        return None


def _subjects(folders: list[Path]) -> tuple[Subject, ...]:
    """The bundles, each once, called by their folders' names, or their whole paths where those are the same."""
    unique = list({folder.resolve(): folder for folder in folders}.values())
    names = Counter(folder.resolve().name for folder in unique)
    return tuple(
        Subject(folder.resolve().name if names[folder.resolve().name] == 1 else str(folder), Bundle.open(folder))
        for folder in unique
    )


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 320x180")
    return int(width), int(height)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, text.split(","))))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds up to {_LONGEST}")
    return seconds
