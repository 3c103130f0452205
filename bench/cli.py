"""Command line of the measurements: `sparsr bench run|report|check|baseline|bars`."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from sparsr.bench import bars
from sparsr.bench.budgets import commands as budgets
from sparsr.bench.measure import layers, results
from sparsr.bench.measure.engines import ENGINES, SINGLE_PRECISION
from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.report import commands as report
from sparsr.bench.report import table
from sparsr.bench.targets.names import open_target, target_names
from sparsr.runtime.errors import SparsrError, run_cli
from sparsr.runtime.media.images import read_image
from sparsr.runtime.model.bundle import Bundle


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; 0 fine, 1 a check failed, 2 wrong use or input, or nothing could be measured."""
    options = build_parser().parse_args(arguments)
    return run_cli(lambda: options.command(options))


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="sparsr bench", description="Measure bundles and show the result.")
    commands = parser.add_subparsers(required=True, metavar="run|report|check|baseline|bars")
    _add_run(commands)
    report.add_report(commands)
    budgets.add_check(commands)
    budgets.add_baseline(commands)
    _add_bars(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="measure bundles in engines, interleaved",
        description="Time and memory of every bundle in every engine, each in its own process, rounds interleaved.",
    )
    run.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    run.add_argument("--size", type=_size, default=(160, 90), metavar="WxH", help="input pixels (default 160x90)")
    run.add_argument("--threads", type=_positive, default=1, metavar="N", help="per engine (default 1)")
    run.add_argument("--target", default="cpu", metavar="NAME", help=f"where: {target_names()} (default cpu)")
    run.add_argument(
        "--engines", type=_names, metavar="A,B", help=f"of {','.join(ENGINES)} (default: those in float32)"
    )
    run.add_argument("--rounds", type=_positive, default=15, metavar="N", help="default 15")
    run.add_argument(
        "--max-seconds", type=float, default=120, metavar="S", help="end early, after 3 rounds (default 120)"
    )
    run.add_argument(
        "--timeout", type=float, default=300, metavar="S", help="for one answer of an engine (default 300)"
    )
    run.add_argument(
        "--image", type=Path, metavar="FILE", help="a picture to measure with, for networks whose speed depends on it"
    )
    run.add_argument("--hide", choices=["avx512"], help="hide AVX-512 and AMX from every engine, as on a CPU with AVX2")
    run.add_argument("--baseline", type=Path, metavar="BUNDLE", help="the dense bundle to compare all others with")
    run.add_argument("--layers", action="store_true", help="the native engine's layers and their share of the bound")
    run.add_argument("--json", type=Path, metavar="OUT", help="write the results (schema sparsr-bench/1)")
    run.set_defaults(command=_run)


def _add_bars(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "bars",
        help="what SparSR promises, measured against the fastest dense engine",
        description="Measure every promised ratio and say which are reached. `make bench` makes the bundles first.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the bundles")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="only the bars of these bundles")
    parser.add_argument("--rounds", type=_positive, default=7, metavar="N", help="default 7")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all results")
    parser.set_defaults(command=_bars)


def _run(options: argparse.Namespace) -> int:
    subjects = _subjects([*options.bundles, *([options.baseline] if options.baseline else [])])
    named = options.baseline and next(
        subject.id for subject in subjects if _same(subject.bundle.path, options.baseline)
    )
    width, height = options.size
    target = open_target(options.target)
    engines = options.engines or tuple(name for name in SINGLE_PRECISION if name in target.engines) or target.engines
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
    )
    measured = measure(plan)
    if options.json:
        results.save(measured, options.json)
    print(table.render(measured))
    if options.layers:
        print("", layers.render_all(measured.rows) or "no bundle was measured in the native engine", sep="\n")
    if all(row.failure for row in measured.rows):
        raise SparsrError("no engine could be measured", "the table says why; `sparsr doctor` helps")
    return 0


def _bars(options: argparse.Namespace) -> int:
    def show(setting: bars.Setting, reached: list[bars.Reached], measured: results.Results) -> None:
        runs.append(measured)
        print(
            f"{setting}, {measured.settings.rounds} interleaved rounds",
            bars.render(reached, measured),
            *filter(None, [layers.render_all(measured.rows)]),
            sep="\n",
            flush=True,
        )

    runs: list[results.Results] = []
    reached = bars.measure_bars(options.folder, bars.chosen(options.networks), options.rounds, show)
    if options.json:
        bars.save(runs, options.json)
    print(f"{sum(entry.met for entry in reached)} of {len(reached)} bars reached")
    return 0


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


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, text.split(","))))
