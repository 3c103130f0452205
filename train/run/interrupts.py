"""Ctrl-C, SIGTERM and a terminal that is closed end a run between two steps, after its state is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether someone asked the run to stop."""

    def __init__(self) -> None:
        self.signal = 0
        """Number of the signal that asked; 0 while none has."""

    def note(self, number: int, _: FrameType | None) -> None:
        """Signal handler: the first signal asks, a second one interrupts at once."""
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Listen for the signals within the block; outside of the main thread, where Python cannot, nothing is heard."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    asking = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        asking.append(signal.SIGHUP)
    before = {number: signal.signal(number, request.note) for number in asking}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
