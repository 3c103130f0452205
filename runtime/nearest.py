"""What a word that is not known was probably meant to be, for the hints of errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], alike: float = 0.4) -> str | None:
    """The known word most like `word`; None if none is at least so much `alike` (0..1, as difflib's ratio)."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, alike)), None)


def meant(word: str, known: Iterable[str]) -> str:
    """A hint: the known word nearest to `word`, or else all that are known, in their order."""
    words = list(known)
    found = nearest(word, words)
    return f"did you mean {found}?" if found else f"known: {', '.join(words)}"
