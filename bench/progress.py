"""One line on stderr that says how far a long work is and how long it will still take."""

from __future__ import annotations

import sys
import time


class Progress:
    """On a terminal the line is rewritten in place; in a log a line comes with every `step` of the way."""

    def __init__(self, step: float = 0.2) -> None:
        self._terminal = sys.stderr.isatty()
        self._step = step
        self._start = time.monotonic()
        self._shown = -1.0

    def restart(self) -> None:
        """Forget the pace: another kind of work begins."""
        self._start, self._shown = time.monotonic(), -1.0

    def show(self, what: str, done: int, total: int) -> None:
        """`done` of `total` steps are finished; `what` is going on now."""
        share = done / total
        if not self._terminal and share < 1 and share - self._shown < self._step:
            return
        self._shown = share
        left = (time.monotonic() - self._start) * (total - done) / done if done else 0.0
        line = f"{what}: {done}/{total}" + (f", {left:.0f} s left" if 0 < done < total else "")
        end = "\n" if not self._terminal or done == total else ""
        start = "\r\033[K" if self._terminal else ""
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)
