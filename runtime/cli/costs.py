"""`sparsr costs`: what convolutions cost on this machine."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict

from sparsr.runtime.cli.plan_table import Sparsity, convolution_costs, cost_table


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `sparsr`."""
    costs = commands.add_parser("costs", help="what convolutions cost on this machine")
    costs.set_defaults(command=run)
    costs.add_argument("--shapes", nargs="+", type=shape, required=True, metavar="INxOUT[xSIDE]", help="64x64: 64x64x3")
    costs.add_argument(
        "--sparsity", nargs="+", type=sparsity, default=[None], metavar="N:M[xV]", help="or dense (default)"
    )
    costs.add_argument("--width", type=int, default=320, help="of the image (default 320)")
    costs.add_argument("--json", action="store_true", help="as JSON")


def shape(text: str) -> tuple[int, int, int]:
    """INxOUT or INxOUTxSIDE."""
    inputs, outputs, side = map(int, (text + "x3").split("x")[:3])
    return inputs, outputs, side


def sparsity(text: str) -> Sparsity | None:
    """N:M, N:MxV for places shared by V outputs, or None for dense."""
    if text == "dense":
        return None
    found = re.fullmatch(r"(\d+):(\d+)(?:x(\d+))?", text)
    if not found:
        raise ValueError(f"{text!r} is not N:M or N:MxV")
    return int(found[1]), int(found[2]), int(found[3] or 1)


def run(options: argparse.Namespace) -> int:
    """Measure and print; the exit code."""
    costs = convolution_costs(options.shapes, options.sparsity, options.width)
    print(json.dumps([asdict(cost) for cost in costs], indent=2) if options.json else cost_table(costs))
    return 0
