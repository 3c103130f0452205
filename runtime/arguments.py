"""Arguments of public functions: a wrong type becomes a sentence at once, not an exception later."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

from sparsr.runtime.errors import SparsrError


def as_path(what: str, value: Any) -> Path:
    """A path from text or a path. Raises `SparsrError` for anything else."""
    try:
        return Path(os.fsdecode(value))
    except TypeError as error:
        raise SparsrError(f"{what} must be a path, not {value!r}", "pass text or a pathlib.Path") from error


def as_whole_number(what: str, value: Any) -> int:
    """A whole number, also one of numpy's. Raises `SparsrError` for anything else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise SparsrError(f"{what} must be a whole number, not {value!r}", "leave it out for the default")
    return operator.index(value)


def check_word(what: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise `SparsrError` unless `value` is one of some words."""
    if value not in known:
        raise SparsrError(f"{what} cannot be {value!r}", f"ask for {' or '.join(map(repr, known))}")
