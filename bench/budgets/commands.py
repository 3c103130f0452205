"""The command lines `bench check` and `bench baseline save|compare`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sparsr.bench.budgets.announce import github, write_json, write_junit
from sparsr.bench.budgets.baseline import DEFAULT_TOLERANCE, against, load_baseline, save_baseline
from sparsr.bench.budgets.check import Verdict, check, exit_code, summary
from sparsr.bench.budgets.file import Entry, read_budgets

_Commands = argparse._SubParsersAction


def add_check(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = commands.add_parser(
        "check",
        help="whether bundles keep their budgets",
        description="A line per limit. Exit code 1 if one is broken, 2 if one could not be checked, else 0.",
    )
    _add_common(parser)
    _add_outputs(parser)
    parser.set_defaults(command=lambda options: _report(read_budgets(options.budgets), options))


def add_baseline(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add `baseline`."""
    parser = commands.add_parser("baseline", help="keep the figures of a release, and hold later ones against them")
    actions = parser.add_subparsers(required=True, metavar="save|compare")
    save = actions.add_parser("save", help="take every figure the budgets limit, and keep them")
    _add_common(save)
    save.add_argument("--out", type=Path, required=True, metavar="FILE", help="the baseline to write")
    save.set_defaults(command=_save)
    compare = actions.add_parser(
        "compare", help="the figures as they are now, limited by the baseline's", description="Exit codes as of check."
    )
    _add_common(compare)
    compare.add_argument("baseline", type=Path, metavar="BASELINE", help="what `save` wrote")
    compare.add_argument(
        "--tolerance", type=float, default=DEFAULT_TOLERANCE, metavar="X", help="for times (default %(default)s)"
    )
    _add_outputs(compare)
    compare.set_defaults(command=_compare)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("budgets", type=Path, nargs="?", default=Path("budgets.toml"), metavar="BUDGETS")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the verdicts as JUnit XML")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts with their figures")


def _save(options: argparse.Namespace) -> int:
    baseline = save_baseline(read_budgets(options.budgets), options.out)
    print(f"wrote {options.out}: {len(baseline.figures)} figures")
    return 0


def _compare(options: argparse.Namespace) -> int:
    entries = read_budgets(options.budgets)
    return _report(against(entries, load_baseline(options.baseline), options.tolerance), options)


def _report(entries: Sequence[Entry], options: argparse.Namespace) -> int:
    verdicts: list[Verdict] = []
    for verdict in check(entries):
        print(verdict.text, flush=True)
        verdicts.append(verdict)
    if options.junit:
        write_junit(verdicts, options.junit)
    if options.json:
        write_json(verdicts, options.json)
    print(*github(verdicts), summary(verdicts), sep="\n")
    return exit_code(verdicts)
