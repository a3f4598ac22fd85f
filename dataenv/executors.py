"""Executors run Jobs: in this process, or in worker processes. JSON goes in; JSON and a blob come out."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

from dataenv.blobs import BlobCorrupt, Blobs, DiskBlobs
from dataenv.errors import SettingError
from dataenv.jobs import Job, Outcome, execute


class Executor(Protocol):
    """Runs jobs; ``width`` is how many at once."""

    width: int

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """Start a job. The future raises what ``jobs.execute`` raises."""

    def close(self) -> None:
        """Stop the workers; jobs in flight are lost, and nothing else."""


class Inline:
    """Runs each job at once, in this process."""

    width = 1

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor."""
        future: Future[Outcome] = Future()
        try:
            future.set_result(execute(job, key, blobs))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing to stop."""


class Processes:
    """Runs jobs in worker processes on this machine.

    Args:
        width: How many workers.

    A killed worker breaks the pool: the pool is made anew and the runner starts the job again.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor."""
        if not isinstance(blobs, DiskBlobs):
            raise SettingError(
                "executor 'processes' shares weights through a store on disk; give store= or DATAENV_STORE"
            )
        work = (job.model_dump_json(), key, str(blobs.root))
        try:
            raw = self._open().submit(_work, *work)
        except BrokenProcessPool:  # a worker was killed since the last job
            self.close()
            raw = self._open().submit(_work, *work)
        parsed: Future[Outcome] = Future()
        raw.add_done_callback(lambda done: _hand_over(done, parsed))
        return parsed

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.width, multiprocessing.get_context("spawn"), _start_worker)
        return self._pool

    def close(self) -> None:
        """See Executor."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _start_worker() -> None:
    """Two torch threads on a busy pair of cores can be ten times slower than one, so a worker starts with one."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's: it stops the pool when it has tidied up
    os.environ["OMP_NUM_THREADS"] = "1"


def _work(job: str, key: str, root: str) -> tuple[str, str]:
    """Run a job in a worker; a corrupt blob comes back as its name, for exceptions do not travel well."""
    try:
        return "outcome", execute(Job.model_validate_json(job), key, DiskBlobs(Path(root))).model_dump_json()
    except BlobCorrupt as error:
        return "corrupt", error.name


def _hand_over(done: Future[tuple[str, str]], parsed: Future[Outcome]) -> None:
    if done.cancelled():
        parsed.cancel()
        parsed.set_running_or_notify_cancel()
        return
    error = done.exception()
    if error is not None:
        parsed.set_exception(error)
        return
    kind, text = done.result()
    if kind == "corrupt":
        parsed.set_exception(BlobCorrupt(text))
    else:
        parsed.set_result(Outcome.model_validate_json(text))


def cores() -> int:
    """Processor cores that this process may use (where the system does not tell, all of them)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_executor(name: str) -> Executor:
    """``inline``, ``processes`` (one a core) or ``processes:N``.

    Raises:
        SettingError: If the name is none of these.
    """
    kind, _, count = name.partition(":")
    if kind == "inline" and not count:
        return Inline()
    if kind == "processes" and (not count or (count.isdecimal() and 1 <= int(count) <= 1024)):
        return Processes(int(count) if count else cores())
    raise SettingError(f"executor is {name!r}; give 'inline', 'processes' or 'processes:N' with N from 1 to 1024")
