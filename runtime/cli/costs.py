"""`sparsr costs`: what convolutions cost on this machine."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from sparsr.runtime.cli.plan_table import convolution_costs, cost_table
from sparsr.runtime.sparsity import Sparsity


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
    return None if text == "dense" else Sparsity.parse(text)


def run(options: argparse.Namespace) -> int:
    """Measure and print; the exit code."""
    costs = convolution_costs(options.shapes, options.sparsity, options.width)
    print(json.dumps([asdict(cost) for cost in costs], indent=2) if options.json else cost_table(costs))
    return 0
