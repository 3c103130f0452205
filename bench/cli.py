"""Command line of the measurements: `sparsr bench run|report|check|baseline|curve|bars`."""

from __future__ import annotations

import argparse
from pathlib import Path

from sparsr.bench import bars
from sparsr.bench.budgets import commands as budgets
from sparsr.bench.curve import commands as curve
from sparsr.bench.measure import commands as run
from sparsr.bench.measure import layers, results
from sparsr.bench.report import commands as report
from sparsr.runtime.command_line import CommandLine, positive
from sparsr.runtime.errors import run_cli


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; 0 fine, 1 a check failed, 2 wrong use or input, or nothing could be measured."""
    options = build_parser().parse_args(arguments)
    return run_cli(lambda: options.command(options))


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser: argparse.ArgumentParser = CommandLine(
        prog="sparsr bench", description="Measure bundles and show the result."
    )
    commands = parser.add_subparsers(required=True, metavar="run|report|check|baseline|curve|bars")
    run.add_run(commands)
    report.add_report(commands)
    budgets.add_check(commands)
    budgets.add_baseline(commands)
    curve.add_curve(commands)
    _add_bars(commands)
    return parser


def _add_bars(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "bars",
        help="what SparSR promises, measured against the fastest dense engine",
        description="Measure every promised ratio and say which are reached. `make bench` makes the bundles first.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the bundles")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="only the bars of these bundles")
    parser.add_argument("--rounds", type=positive, default=7, metavar="N", help="default 7")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all results")
    parser.set_defaults(command=_bars)


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
