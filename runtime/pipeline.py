"""Stages of a work that overlap: an iterator that computes ahead in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
_POLL = 0.05  # seconds after which a waiting thread looks whether it is still wanted


@contextmanager
def ahead(items: Iterator[Item], overlap: bool = True) -> Iterator[Iterator[Item]]:
    """The same items, each computed while its predecessor is still in use; not so without `overlap`.

    What computing raises is raised where the items are taken. On leaving, the thread has ended.
    """
    if not overlap:
        yield items
        return
    ready: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(1)
    stop = threading.Event()

    def put(done: bool, value: Item | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put((done, value), timeout=_POLL)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(False, item):
                    return
            put(True, None)
        except BaseException as error:  # raised again by `taken`
            put(True, error)

    def taken() -> Iterator[Item]:
        while True:
            done, value = _get(ready, stop)
            if isinstance(value, BaseException):
                raise value
            if done:
                return
            yield value  # type: ignore[misc]

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stop.set()
        thread.join()


def _get(
    ready: queue.Queue[tuple[bool, Item | BaseException | None]], stop: threading.Event
) -> tuple[bool, Item | BaseException | None]:
    """The next entry; the end once nobody wants any more."""
    while not stop.is_set():
        try:
            return ready.get(timeout=_POLL)
        except queue.Empty:
            continue
    return True, None
