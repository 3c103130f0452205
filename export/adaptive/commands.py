"""The command lines `sparsr export adaptive` and `sparsr export curve`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sparsr.export.adaptive.build import DEFAULT_PATCH, build_adaptive
from sparsr.export.adaptive.curve import DEFAULT_BETAS, run_curve
from sparsr.export.exporter import DEFAULT_FORMATS
from sparsr.runtime.engines.registry import ENGINES

_report = partial(print, flush=True)


def _build(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="sparsr export adaptive",
        description="Build a bundle that computes every patch of a picture with one of several networks, or bicubic.",
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="checkpoints of networks of one scale")
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder to write")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data", type=Path, nargs="+", default=[], metavar="FOLDER", help="HR images to train the estimator on"
    )
    source.add_argument("--estimator", type=Path, metavar="FILE", help="the estimator of an earlier build")
    parser.add_argument("--format", default=",".join(DEFAULT_FORMATS), help="model files (default: %(default)s)")
    parser.add_argument("--patch", type=int, default=DEFAULT_PATCH, help="side in input pixels (default: %(default)s)")
    parser.add_argument("--name", help="the bundle's name (default: from BUNDLE)")
    options = parser.parse_args(arguments)
    card = build_adaptive(
        options.models,
        options.out,
        data=options.data,
        estimator=options.estimator,
        formats=[part.strip() for part in options.format.split(",") if part.strip()],
        patch=options.patch,
        name=options.name,
        report=_report,
    )
    print(card.describe())


def _curve(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="sparsr export curve",
        description="Quality of an adaptive bundle against work and time, beside its candidates: OUT.json, two SVGs.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="made by `sparsr export adaptive`")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="HR pictures; LR is made from them")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="name of the files to write")
    parser.add_argument("--engine", help=f"one of {', '.join(ENGINES)} (default: native, or what there is)")
    parser.add_argument("--beta", type=float, nargs="+", default=list(DEFAULT_BETAS), help="default: %(default)s")
    parser.add_argument("--by-time", action="store_true", help="beta weighs time measured here, not multiply-adds")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args(arguments)
    run_curve(
        options.bundle,
        options.data,
        options.out,
        by_time=options.by_time,
        engine=options.engine,
        betas=options.beta,
        rounds=options.rounds,
        report=_report,
    )


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"adaptive": _build, "curve": _curve}
