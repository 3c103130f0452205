"""The runtime's commands: `sparsr upscale | restore | live | info | costs | doctor`, also `python -m runtime`."""

from __future__ import annotations

import argparse

from sparsr.runtime.cli import costs, doctor, info, live, upscale
from sparsr.runtime.command_line import CommandLine

COMMANDS = (upscale, live, info, costs, doctor)
"""Modules with `add_command`."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser: argparse.ArgumentParser = CommandLine(
        prog="sparsr", description="Upscale and restore pictures and videos with a bundle."
    )
    add_commands(parser.add_subparsers(required=True, metavar="upscale|restore|live|info|costs|doctor"))
    options = parser.parse_args(arguments)
    code: int = options.command(options)
    return code


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the runtime's commands; each sets `command`, a function of the parsed options that gives the exit code."""
    for module in COMMANDS:
        module.add_command(commands)
