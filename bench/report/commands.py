"""The command line `bench report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from sparsr.bench.report.compose import Sources, compose
from sparsr.bench.report.gallery import Exhibit
from sparsr.bench.report.pictures import Pictures
from sparsr.bench.report.write import check_form, read_sources, write_report
from sparsr.runtime.errors import SparsrError


def add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `report`."""
    parser = commands.add_parser(
        "report",
        help="a page that people read, from results",
        description="Write one self-contained HTML page, or Markdown with PNG charts in a folder beside it.",
    )
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULTS",
        help="what `run --json` wrote, also of other targets; what `baseline save` wrote becomes the history",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="report.html or report.md; may be given again",
    )
    parser.add_argument(
        "--bundle", type=Path, metavar="BUNDLE", help="the bundle in front, with its card (default: what gained most)"
    )
    parser.add_argument("--before", type=Path, metavar="IMG", help="a picture that was upscaled")
    parser.add_argument("--after", type=Path, metavar="IMG", help="what became of it")
    parser.add_argument("--reference", type=Path, metavar="IMG", help="the true large picture, if there is one")
    parser.add_argument(
        "--exhibit",
        action="append",
        default=[],
        metavar="CAPTION=FILE",
        help="a further picture or SVG drawing: masks, patch maps",
    )
    parser.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    outputs = [check_form(path) for path in options.out]
    results, baselines = read_sources(options.results)
    exhibits = [Exhibit.read(wish) for wish in options.exhibit]
    report = compose(Sources(results, baselines, options.bundle, _pictures(options), exhibits))
    for path in outputs:
        print(*(f"wrote {written}" for written in write_report(report, path)), sep="\n")
    return 0


def _pictures(options: argparse.Namespace) -> Pictures | None:
    if bool(options.before) != bool(options.after) or (options.reference and not options.before):
        raise SparsrError("a comparison needs a picture before and after", "give both --before and --after")
    return Pictures.read(options.before, options.after, options.reference) if options.before else None
