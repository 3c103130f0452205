"""argparse whose complaints have the form of every other error: a sentence on what is wrong, then `hint:`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from sparsr.runtime.errors import EXIT_BAD_INPUT, report_error
from sparsr.runtime.nearest import nearest

_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)", re.DOTALL)
_UNKNOWN = "unrecognized arguments: "


class CommandLine(argparse.ArgumentParser):
    """A command line, whose sub-commands are of this class too. What cannot be parsed ends with `SystemExit(2)`."""

    def __init__(self, *args: Any, surplus: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self._surplus = surplus  # what to do where more names were given than the command takes
        self.register("type", Path, _path)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As argparse's; but a sub-command complains itself of what it does not know: it knows the options."""
        namespace, rest = super().parse_known_args(args, namespace)
        for action in self._get_positional_actions():
            # Before Python 3.13 `IN --scale 4 OUT` is not understood: an OUT that may be left out has been, at --scale.
            if rest and action.nargs == "?" and getattr(namespace, action.dest) is None and not _is_option(rest[0]):
                setattr(namespace, action.dest, self._get_values(action, [rest.pop(0)]))
        if rest:
            self.error(_UNKNOWN + " ".join(rest))
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and the nearest that would be right."""
        report_error(message, " ".join([*self._meant(message), f"`{self.prog} --help` lists what it takes"]))
        raise SystemExit(EXIT_BAD_INPUT)

    def _meant(self, message: str) -> list[str]:
        if found := _CHOICE.search(message):
            word = nearest(found[1], re.findall(r"[^\s,']+", found[2]), 0.6)
        elif message.startswith(_UNKNOWN):
            unknown = message.removeprefix(_UNKNOWN).split()[0].partition("=")[0]
            if self._surplus and not _is_option(unknown):
                return [self._surplus]
            word = nearest(unknown, self._option_string_actions, 0.75)  # dashes alone make any two alike
        else:
            word = None
        return [f"did you mean {word}?"] if word else []


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"  # which is standard input or output


def _path(text: str) -> Path:
    """A path; an empty one, as of a shell's variable that is not set, would be the folder the command runs in."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
