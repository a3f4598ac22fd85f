"""Executors on this machine: this process, or worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from math import inf
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, Self, TypeVar

from dataenv.execution.blobs import Blobs
from dataenv.execution.collector import collect_rarely
from dataenv.execution.executors.base import Slots, cores, lost_after, on_disk
from dataenv.execution.executors.worker import Limits, hand_over, read_reply, serialized, work
from dataenv.execution.inline import WorkerLostError
from dataenv.execution.jobs import Job, Outcome
from dataenv.execution.spec import ExecutorSpec, refuse_others

T = TypeVar("T")
GRACE = 30.0
"""Seconds after its deadline at which a worker that has not ended itself (it was stopped, say) is ended."""

PATIENCE = 3.0
"""Seconds that a worker lives on after SIGTERM."""


class Processes:
    """Runs jobs in worker processes on this machine.

    Each worker is a pool of its own, so that one that is killed takes no other's job with it; it is made anew when its
    place is next needed.

    Args:
        width: How many workers.
        limits: Threads and deadline of each.

    Attributes:
        limits: The same.
    """

    def __init__(self, width: int, limits: Limits | None = None) -> None:
        self.width = width
        self.limits = limits or Limits()
        self._line = Slots(width)
        self._pools: dict[int, ProcessPoolExecutor] = {}
        self._watchers: set[threading.Thread] = set()  # of every pool, broken ones too: each has one thread
        self._lock, self._closed = threading.Lock(), False

    @classmethod
    def from_spec(cls, spec: ExecutorSpec) -> Self:
        """See Executor."""
        refuse_others(spec, "processes")
        return cls(spec.workers or cores(), Limits(threads=spec.threads, deadline=spec.deadline))

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor."""
        words = serialized(job, key, on_disk(blobs, "processes").root, self.limits)
        read = partial(read_reply, job=job)
        return self._line.submit(lambda place: self._start(place, work, words, read, self.limits.deadline))

    def hand(self, act: Callable[..., str], *words: str) -> Future[str]:
        """Have a worker do something else than a job: ``act(*words)``, a function of a module, from texts to a text.

        It has no deadline of its own, and says itself what becomes of what it runs.
        """
        return self._line.submit(lambda place: self._start(place, act, words, str, None))

    def _start(
        self, place: int, act: Callable[..., Any], words: tuple[str, ...], read: Callable[[Any], T], most: float | None
    ) -> Future[T]:
        """Have the worker of a place do something within ``most`` seconds, and read what it replies."""
        promised: Future[T] = Future()
        began = time.monotonic()
        try:
            raw = self._hand_in(place, act, words)
        except BrokenProcessPool:  # killed since its last job
            self._forget(place)
            raw = self._hand_in(place, act, words)
        if most is not None:
            late = threading.Timer(most + GRACE, self._kill_late, (place, raw))
            late.daemon = True
            late.start()
            raw.add_done_callback(lambda done: late.cancel())
        raw.add_done_callback(partial(self._hand_over, promised, place, read, began, most))
        return promised

    def _hand_over(
        self,
        promised: Future[T],
        place: int,
        read: Callable[[Any], T],
        began: float,
        most: float | None,
        done: Future[Any],
    ) -> None:
        if not done.cancelled() and isinstance(done.exception(), BrokenProcessPool):
            self._forget(place)
            said = "a worker process ended (killed, out of memory, or past its deadline)"
            promised.set_exception(lost_after(began, inf if most is None else most, False, said))
            return
        hand_over(done, promised, read)

    def _hand_in(self, place: int, act: Callable[..., Any], words: tuple[str, ...]) -> Future[Any]:
        with self._lock:  # held until the job is in, so that `close` finds each process and thread there is
            if self._closed:
                raise WorkerLostError("killed", "the executor was closed")
            if place not in self._pools:
                _start_tracker()
                spawn = multiprocessing.get_context("spawn")
                self._pools[place] = ProcessPoolExecutor(1, spawn, _start_worker)
            pool = self._pools[place]
            raw = pool.submit(act, *words)
            watcher: Any = pool._executor_manager_thread  # typeshed takes it for another class
            self._watchers = {thread for thread in self._watchers if thread.is_alive()} | {watcher}
            return raw

    def _forget(self, place: int) -> None:
        """Drop a broken pool without shutting it down: it does so itself, and from its own thread that would hang."""
        with self._lock:
            self._pools.pop(place, None)

    def _kill_late(self, place: int, raw: Future[Any]) -> None:
        if not raw.done():  # or a later job in the same place would be hit
            self._kill(place)

    def _kill(self, place: int) -> None:
        """Kill the worker of a place; its job is then lost, as with any killed worker."""
        pool = self._pools.get(place)
        if pool is not None:
            _end(pool)

    def close(self) -> None:
        """See Executor. It does not wait for running jobs: a long one would delay Ctrl-C."""
        with self._lock:
            self._closed, pools, self._pools = True, self._pools, {}
        self._line.clear()
        for pool in pools.values():
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()
        # Python wakes these threads when it exits, through a pipe that a thread which is just ending has closed: a
        # traceback after the last word. So they end first. A dead worker's thread does so at once.
        for thread in self._watchers:
            thread.join(timeout=5.0)


def _end(pool: ProcessPoolExecutor) -> None:
    """Kill the processes of a pool (``kill_workers`` from Python 3.14 on)."""
    for process in list((pool._processes or {}).values()):
        process.kill()


def _start_tracker() -> None:
    """Start Python's tracker of semaphores deaf to SIGHUP: it ignores the other signals, and dies of this one."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which has no such signal
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # inherited; and any thread may ask for it
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Prepare a worker: it leaves Ctrl-C and a closed terminal to the driver, and it ends when the driver ends."""
    for name in ("SIGINT", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)  # often sent to the whole group: the driver is to speak first
    collect_rarely()
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded; see worker.work for what a job asks
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _end_soon(number: int, _: Any) -> None:
    """End this worker when the driver has had time to end it: a worker that is lost first would be made anew."""
    timer = threading.Timer(PATIENCE, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()


def _follow(driver: int) -> None:
    """End this worker when the driver is gone; the pool's own queue would wait without end."""
    wait([driver])
    os._exit(1)
