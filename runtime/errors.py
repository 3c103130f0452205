"""The one exception type users meet, and how a command line reports it."""

from __future__ import annotations

import errno
import io
import re
import sys
from collections.abc import Callable

EXIT_CHECK_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class SparsrError(Exception):
    """Wrong use or bad input: one sentence on what is wrong and where, and what to do about it.

    `str(error)` is the sentence; `error.hint` is printed after `hint:`. Exit code 2.
    """

    exit_code = EXIT_BAD_INPUT

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MisfitError(SparsrError):
    """A format cannot hold what would have to be written into it; another one could."""


class CheckFailedError(SparsrError):
    """The input was fine, but a check the tool makes did not pass (parity, budget). Exit code 1."""

    exit_code = EXIT_CHECK_FAILED


_OS_HINTS = {
    errno.ENOSPC: "free some space on that disk, or name another output",
    errno.EFBIG: "this account or disk does not take files of that size; name another output",
    errno.EDQUOT: "free some space of your quota, or name another output",
    errno.EACCES: "choose a place this account may read and write",
    errno.EPERM: "choose a place this account may read and write",
    errno.EROFS: "choose a place this account may read and write",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EEXIST: "a file is in the way; choose another path",
    errno.EISDIR: "that path is a folder; name a file",
    errno.ENOENT: "check the path",
}


_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]")


def one_line(text: str) -> str:
    """A text whose line breaks and other controls, as names of files may have them, are escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def report_error(message: str, hint: str = "") -> None:
    """Print on stderr what is wrong, and what to do about it if that is known, a line each."""
    print(f"error: {one_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {one_line(hint)}", file=sys.stderr)


def told(error: OSError, path: object = None) -> tuple[str, str]:
    """What the system says, naming the file (`path` where the error has none), and what to do about it if known."""
    where = error.filename or path
    return f"{error.strerror or error}" + (f": {where}" if where else ""), _OS_HINTS.get(error.errno or 0, "")


def run_cli(main: Callable[[], int | None]) -> int:
    """Run a command line's `main` and turn what it raises into a message on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):  # names of files need not be text; saying them must not fail
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return main() or 0
    except SparsrError as error:
        message, hint, code = str(error), error.hint, error.exit_code
    except KeyboardInterrupt:
        message, hint, code = "interrupted", "", EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_CHECK_FAILED
    except MemoryError:
        message, hint, code = "there is not enough memory", "allow less with --max-memory", EXIT_BAD_INPUT
    except OSError as error:
        (message, hint), code = told(error), EXIT_BAD_INPUT
    report_error(message, hint)
    return code
