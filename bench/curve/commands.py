"""The command line `sparsr bench curve`."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from sparsr.bench.curve.curve import DEFAULT_BETAS, run_curve
from sparsr.runtime.engines.registry import ENGINES


def add_curve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `curve`."""
    parser = commands.add_parser(
        "curve",
        help="quality of an adaptive bundle against work and time",
        description="Quality of an adaptive bundle against work and time, beside its candidates: OUT.json, two SVGs.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="made by `sparsr export adaptive`")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="HR pictures; LR is made from them")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="name of the files to write")
    parser.add_argument("--engine", help=f"one of {', '.join(ENGINES)} (default: native, or what there is)")
    parser.add_argument("--beta", type=float, nargs="+", default=list(DEFAULT_BETAS), help="default: %(default)s")
    parser.add_argument("--by-time", action="store_true", help="beta weighs time measured here, not multiply-adds")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.set_defaults(command=_curve)


def _curve(options: argparse.Namespace) -> int:
    run_curve(
        options.bundle,
        options.data,
        options.out,
        by_time=options.by_time,
        engine=options.engine,
        betas=options.beta,
        rounds=options.rounds,
        report=partial(print, flush=True),
    )
    return 0
