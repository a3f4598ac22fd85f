"""What every executor is made of: how jobs are to be run, what can become of one, and the line in which jobs wait."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from dataenv.errors import SettingError
from dataenv.execution.blobs import Blobs, DiskBlobs
from dataenv.execution.inline import Why, WorkerLostError

T = TypeVar("T")
HUNG = "hung.log"
"""In the store's folder: where a worker that ends itself at its deadline writes where it stood."""


def lost_after(began: float, deadline: float, memory: bool, said: str) -> WorkerLostError:
    """Why a worker ended without a reply; past its deadline, it ended itself.

    Args:
        began: When its job was handed to it, by ``time.monotonic``.
        deadline: Seconds.
        memory: Whether it is known to have been ended for its memory.
        said: What is known; its first line is kept.
    """
    why: Why = "memory" if memory else "deadline" if time.monotonic() - began >= deadline else "killed"
    return WorkerLostError(why, (said.strip() or why).splitlines()[0][:200])


class Slots:
    """At most ``width`` pieces of work at once, each in a place of its own; the others wait in the order they came.

    A piece of work is a function from its place (0 to ``width`` − 1) to a future of what comes of it.
    """

    def __init__(self, width: int) -> None:
        self._free = list(range(width))
        self._waiting: deque[tuple[Callable[[int], Future[Any]], Future[Any]]] = deque()
        self._lock = threading.Lock()

    def submit(self, start: Callable[[int], Future[T]]) -> Future[T]:
        """Start a piece of work as soon as there is a place for it."""
        promised: Future[T] = Future()
        with self._lock:
            self._waiting.append((start, promised))
        self._advance()
        return promised

    def clear(self) -> None:
        """Cancel what has not started."""
        with self._lock:
            waiting, self._waiting = list(self._waiting), deque()
        for _, promised in waiting:
            promised.cancel()

    def _advance(self) -> None:
        while True:
            with self._lock:
                if not self._free or not self._waiting:
                    return
                place = self._free.pop()
                start, promised = self._waiting.popleft()
            try:
                started = start(place)
            except BaseException as error:
                started = Future()
                started.set_exception(error)
            if started.done():
                self._settle(started, place, promised)
            else:
                started.add_done_callback(partial(self._next, place, promised))

    def _next(self, place: int, promised: Future[Any], done: Future[Any]) -> None:
        self._settle(done, place, promised)
        self._advance()

    def _settle(self, done: Future[Any], place: int, promised: Future[Any]) -> None:
        with self._lock:
            self._free.append(place)
        if done.cancelled():
            promised.cancel()
        elif (error := done.exception()) is not None:
            promised.set_exception(error)
        else:
            promised.set_result(done.result())


def on_disk(blobs: Blobs, kind: str) -> DiskBlobs:
    """The blobs as workers in other processes can reach them.

    Raises:
        SettingError: If they are in this process's memory.
    """
    if not isinstance(blobs, DiskBlobs):
        raise SettingError(f"executor {kind!r} shares weights through a store on disk; give store= or DATAENV_STORE")
    return blobs


def cores() -> int:
    """Processor cores that this process may use (where the system does not tell, all of them)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
