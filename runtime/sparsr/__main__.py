"""The command `sparsr`, also `python -m sparsr`: what the runtime can do, and the ways to train, export and bench."""

from __future__ import annotations

import argparse
import importlib
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sparsr import __version__
from sparsr.runtime.errors import SparsrError, run_cli
from sparsr.runtime.signals import interrupt_on_signals


@dataclass(frozen=True)
class Part:
    """A part of SparSR with a command line of its own: its module has `build_parser` and `main`."""

    module: str
    summary: str
    extra: str
    """What pip calls its packages: `pip install 'sparsr[EXTRA]'`."""


# Imported only when asked for: the bare install has neither torch nor onnx.
PARTS = {
    "export": Part("sparsr.export.cli", "turn a checkpoint into a bundle", "export"),
    "prune": Part("sparsr.export.prune", "prune a trained network with pictures alone", "export"),
    "train": Part("sparsr.train.cli", "train, prune and evaluate networks", "train"),
    "bench": Part("sparsr.bench.cli", "measure bundles", "bench"),
}
SHELLS = ("bash", "zsh", "tcsh")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; raises `SparsrError`."""
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in PARTS:
        part = _import(given[0])
        sys.argv = [f"sparsr {given[0]}", *given[1:]]  # where the parts read theirs
        return int(part.main() or 0)
    options = build_parser().parse_args(given)
    return int(options.command(options))


def build_parser(whole: bool = False) -> argparse.ArgumentParser:
    """The command line; whole: with the options of those parts whose packages are installed."""
    from sparsr.runtime.cli import main as runtime  # takes half a second, in which Ctrl-C is to be answered as ever
    from sparsr.runtime.command_line import CommandLine

    parser: argparse.ArgumentParser = CommandLine(
        prog="sparsr", description="Pruned image restoration that is really faster."
    )
    parser.add_argument("--version", action="version", version=f"sparsr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runtime.add_commands(commands)
    for name, part in PARTS.items():
        parents = _parsers(name) if whole else []
        commands.add_parser(name, help=part.summary, parents=parents, add_help=not parents)
    completion = commands.add_parser("completion", help="print a script that teaches a shell to complete `sparsr`")
    completion.add_argument("shell", choices=SHELLS, help="fish and others are not among them")
    completion.set_defaults(command=_complete)
    return parser


def _parsers(name: str) -> list[argparse.ArgumentParser]:
    try:
        return [_import(name).build_parser()]
    except SparsrError:
        return []


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(PARTS[name].module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "sparsr":
            raise
        raise SparsrError(
            f"`sparsr {name}` needs the package {missing}, which is not installed",
            f"pip install 'sparsr[{PARTS[name].extra}]'",
        ) from error


def _complete(options: argparse.Namespace) -> int:
    import shtab

    parser = build_parser(whole=True)
    _complete_paths(parser, shtab.FILE)
    print(shtab.complete(parser, shell=options.shell))
    return 0


def _complete_paths(parser: argparse.ArgumentParser, files: dict[str, Any]) -> None:
    """Let the shell offer files wherever a path is asked for."""
    for action in parser._actions:  # argparse has no public way to them; shtab reads the same
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _complete_paths(child, files)
        elif getattr(action.type, "__name__", "") == "Path" or action.metavar in ("BUNDLE", "MODEL"):
            action.complete = files  # type: ignore[attr-defined]


def entry() -> int:
    """What the installed script calls: errors become a message and an exit code."""
    interrupt_on_signals()
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(entry())
