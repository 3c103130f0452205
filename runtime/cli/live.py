"""`sparsr live`: a camera, a stream or a film, upscaled in a window."""

from __future__ import annotations

import argparse
from pathlib import Path

from sparsr.runtime.engines.registry import ENGINES
from sparsr.runtime.model.general import GENERAL
from sparsr.runtime.upscale.live import show
from sparsr.runtime.upscale.models import Settings, open_model, open_upscaler


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `sparsr`."""
    live = commands.add_parser("live", help="upscale a camera, a stream or a film in a window")
    live.set_defaults(command=run)
    live.add_argument("source", metavar="SOURCE", help="number of a camera, a file, or an address that OpenCV opens")
    live.add_argument("--model", type=Path, default=GENERAL[2], metavar="BUNDLE", help="default: x2, inside SparSR")
    live.add_argument("--engine", help=f"one of {', '.join(ENGINES)} (default: native, or what there is)")
    live.add_argument("--threads", type=int, help="default: one per core")
    live.add_argument("--seconds", type=float, help="end after that time (default: until q or Esc is pressed)")


def run(options: argparse.Namespace) -> int:
    """Show it and say how it went; the exit code."""
    upscaler = open_upscaler(open_model(options.model), Settings(options.engine, options.threads))
    print(show(options.source, upscaler, options.seconds))
    return 0
