"""The command line `sparsr export adaptive`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sparsr.export.adaptive.build import DEFAULT_PATCH, build_adaptive
from sparsr.export.exporter import DEFAULT_FORMATS
from sparsr.runtime.command_line import CommandLine

_report = partial(print, flush=True)


def _build(arguments: Sequence[str]) -> None:
    parser = CommandLine(
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


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"adaptive": _build}
