"""argparse whose complaints have the form of every other error: a sentence on what is wrong, then `hint:`."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from sparsr.runtime.errors import EXIT_BAD_INPUT, report_error

_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)", re.DOTALL)
_UNKNOWN = "unrecognized arguments: "


class CommandLine(argparse.ArgumentParser):
    """A command line, whose sub-commands are of this class too. What cannot be parsed ends with `SystemExit(2)`."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As argparse's; but a sub-command complains itself of what it does not know: it knows the options."""
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(_UNKNOWN + " ".join(rest))
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and the nearest that would be right."""
        report_error(message, " ".join([*self._meant(message), f"`{self.prog} --help` lists what it takes"]))
        raise SystemExit(EXIT_BAD_INPUT)

    def _meant(self, message: str) -> list[str]:
        if found := _CHOICE.search(message):
            return _nearest(found[1], re.findall(r"[^\s,']+", found[2]))
        if message.startswith(_UNKNOWN):
            unknown = message.removeprefix(_UNKNOWN).split()[0].partition("=")[0]
            return _nearest(unknown, self._option_string_actions, 0.75)  # dashes alone make any two alike
        return []


def _nearest(word: str, known: Iterable[str], alike: float = 0.6) -> list[str]:
    return [f"did you mean {name}?" for name in difflib.get_close_matches(word, list(known), 1, alike)]
