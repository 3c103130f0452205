"""Which cores a worker is pinned to: phones have fast and slow ones."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparsr.runtime.errors import SparsrError

NAMED = ("all", "fastest", "slowest")
"""`fastest` and `slowest`: those with the highest and the lowest of the cores' greatest frequencies."""
_MOST = 1024


def check_cores(wish: str) -> str:
    """The wish. Raises `SparsrError` if it is neither a name of `NAMED` nor numbers like `0,4-7`."""
    if wish not in NAMED:
        _numbers(wish)
    return wish


def chosen_cores(wish: str, frequencies: Mapping[int, int]) -> tuple[int, ...]:
    """The cores' numbers; empty for all.

    `frequencies`: core -> its greatest frequency, in any unit. Raises `SparsrError` where a name is wished and the
    place does not tell frequencies.
    """
    if wish == "all":
        return ()
    if wish not in NAMED:
        return _numbers(wish)
    if not frequencies:
        raise SparsrError(f"this place does not tell its cores' frequencies, so which are the {wish} is unknown",
                          "give their numbers, like --cores 4-7")  # fmt: skip
    extreme = (max if wish == "fastest" else min)(frequencies.values())
    return tuple(sorted(core for core, frequency in frequencies.items() if frequency == extreme))


def _numbers(wish: str) -> tuple[int, ...]:
    cores: set[int] = set()
    for part in wish.split(","):
        found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < _MOST:
            raise SparsrError(f"{wish[:80]!r} names no cores", f"write {', '.join(NAMED)} or numbers like 0,4-7")
        cores.update(range(first, last + 1))
    return tuple(sorted(cores))
