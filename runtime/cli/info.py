"""`sparsr info`: what a bundle holds, and what the native engine would do with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparsr.runtime.cli.plan_table import plan_table, run_plan
from sparsr.runtime.engines.contract import PRECISIONS
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.upscale.models import open_model


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `sparsr`."""
    info = commands.add_parser("info", help="what a bundle holds")
    info.set_defaults(command=run)
    info.add_argument("bundle", type=Path)
    info.add_argument("--json", action="store_true", help="the whole card, or the whole plan")
    info.add_argument("--plan", action="store_true", help="what the native engine does with it, layer by layer")
    info.add_argument("--size", type=size, metavar="WxH", help="of the image to plan for (default: to get 1280x720)")
    info.add_argument("--threads", type=int, default=1, help="to plan for (default 1)")
    info.add_argument("--precision", choices=PRECISIONS, default="fp32", help="to plan for (default fp32)")


def size(text: str) -> tuple[int, int]:
    """WxH as (height, width)."""
    width, height = map(int, text.split("x"))
    return height, width


def run(options: argparse.Namespace) -> int:
    """Print the card or the plan; the exit code."""
    model = open_model(options.bundle)
    if options.plan:
        return _plan(options, model.networks)
    model.check_files()
    print(json.dumps(model.to_json(), indent=2) if options.json else model.describe())
    return 0


def _plan(options: argparse.Namespace, bundles: Sequence[Bundle]) -> int:
    for bundle in bundles:
        scale = bundle.card.scale
        height, width = options.size or (720 // scale, 1280 // scale)
        image = np.zeros((height, width, 3), np.uint8)
        plan = run_plan(bundle.model("native"), image, options.threads, options.precision)
        print(json.dumps(plan, indent=2) if options.json else plan_table(plan))
    return 0
