"""Signals that end a command as Ctrl-C does, so that nothing half-written is left."""

from __future__ import annotations

import signal

_ENDING = ("SIGTERM", "SIGHUP")
"""Of `kill`, and of a terminal that is closed, which Windows does not tell."""


def interrupt_on_signals() -> None:
    """Let them raise KeyboardInterrupt, but those that whoever started the program has it ignore, as `nohup` does."""
    for name in _ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
