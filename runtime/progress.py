"""One line on stderr that says how far a long work is, its pace and how long it will still take."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from sparsr.runtime.errors import one_line

_TERMINAL_INTERVAL, _LOG_INTERVAL = 0.2, 10.0  # seconds between two lines


class Progress:
    """Counts the steps of a work. On a terminal the line is rewritten in place; in a log one comes every 10 s."""

    def __init__(self, what: str, total: int | None = None, unit: str = "", stream: TextIO | None = None) -> None:
        self._what, self.total, self._unit = what, total, unit
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._start = time.monotonic()
        self._next = self._start + (0 if self._terminal else _LOG_INTERVAL)
        self.done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def advance(self, steps: int = 1) -> None:
        """`steps` more are done."""
        self.done += steps
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (_TERMINAL_INTERVAL if self._terminal else _LOG_INTERVAL)
            line = progress_line(self._what, self.done, self.total, self._unit, now - self._start)
            self._stream.write(f"\r\033[K{line}" if self._terminal else f"{line}\n")
            self._stream.flush()


def progress_line(what: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """For example `clip.mp4: 40/200 frames, 8.0 frames/s, 0:20 left`."""
    pace = done / seconds if seconds > 0 else 0.0
    parts = [f"{one_line(what)}: {done}{f'/{total}' if total else ''} {unit}".rstrip()]
    if unit and pace:
        parts.append(f"{pace:.1f} {unit}/s" if pace >= 0.1 else f"{60 * pace:.1f} {unit}/min")
    if total and pace and done < total:
        parts.append(f"{clock((total - done) / pace)} left")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """`m:ss`, or `h:mm:ss` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
