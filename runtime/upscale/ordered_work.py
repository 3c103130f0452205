"""Stages of a work that overlap: every stage computes ahead in threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 2  # results of a thread at once: the one it computes and one that waits


@contextmanager
def in_parallel(
    items: Iterator[Item], functions: Sequence[Callable[[Item], Result]], overlap: bool = True
) -> Iterator[Iterator[Result]]:
    """What `functions` make of `items`, in their order; a thread per function, each with the next item it can get.

    Ahead of the one that takes them by two results a thread at most. Without `overlap` there are no threads, and the
    first function does it all. What computing raises is raised where its result would be taken. On leaving, the
    threads have ended.
    """
    if not overlap:
        yield map(functions[0], items)
        return
    stage = _Stage[Item, Result](items, _AHEAD * len(functions))
    threads = [threading.Thread(target=stage.work, args=(function,), daemon=True) for function in functions]
    try:
        for thread in threads:
            thread.start()
        yield stage.results()
    finally:
        stage.stop()
        for thread in threads:
            if thread.ident:  # has been started
                thread.join()


class _Stage(Generic[Item, Result]):
    """Items on their way through several threads."""

    def __init__(self, items: Iterator[Item], room: int) -> None:
        self._items, self._room = items, room
        self._taking = threading.Lock()  # of the items
        self._change = threading.Condition()  # of what follows
        self._done: dict[int, tuple[Result | None, BaseException | None]] = {}
        self._taken = self._given = 0
        self._over = False  # no more items are wanted, or there are none

    def work(self, function: Callable[[Item], Result]) -> None:
        """Compute until there is no item left or nobody wants the results any more."""
        while entry := self._next():
            number, item = entry
            try:
                outcome: Any = (function(item), None)
            except BaseException as error:  # raised again by `results`
                outcome = (None, error)
            with self._change:
                self._done[number] = outcome
                self._change.notify_all()

    def _next(self) -> tuple[int, Item] | None:
        with self._taking:
            with self._change:
                self._change.wait_for(lambda: self._over or self._taken - self._given < self._room)
                if self._over:
                    return None
            try:
                item = next(self._items)
            except BaseException as error:
                self._end(error)
                return None
            with self._change:
                self._taken += 1
                return self._taken - 1, item

    def _end(self, error: BaseException) -> None:
        with self._change:
            self._over = True
            if not isinstance(error, StopIteration):
                self._done[self._taken] = (None, error)
                self._taken += 1
            self._change.notify_all()

    def results(self) -> Iterator[Result]:
        """One after the other."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._given in self._done or (self._over and self._given == self._taken))
                if self._given not in self._done:
                    return
                result, error = self._done.pop(self._given)
                self._given += 1
                self._change.notify_all()
            if error is not None:
                raise error
            yield result  # type: ignore[misc]

    def stop(self) -> None:
        with self._change:
            self._over = True
            self._change.notify_all()
