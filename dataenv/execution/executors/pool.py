"""Several jobs a worker at once: one computation trains as many students as have slots in it (``training.many``).

Jobs wait a moment for others that are like them. A batch has the deadline of one job. A batch that is lost or fails as
a whole is run again in two halves, so that what was one job's fault becomes that of the job alone; after one that ran
out of memory, later batches of that student are no larger than its half.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from dataenv.execution.blobs import Blobs
from dataenv.execution.executors.base import cores, on_disk
from dataenv.execution.executors.local import Processes
from dataenv.execution.executors.worker import Limits, Reply, cards, read_reply, work_many
from dataenv.execution.inline import WorkerLostError
from dataenv.execution.jobs import Job, Outcome, student_of
from dataenv.execution.spec import ExecutorSpec, refuse_others
from students.training.many import slots_of

LINGER = 0.25
"""Seconds without a new job after which a batch that is not full begins. A driver makes a lesson in a tenth of that."""


@dataclass(eq=False)
class _Waiting:
    """A job that waits.

    Attributes:
        job: The job.
        words: Its text and its key.
        common: What is said once for a batch: the student's fingerprint, and the folder of the blobs.
        alike: Jobs with equal ones may be in one batch.
        most: Jobs in a batch with it.
        since: When it came; see ``time.monotonic``.
        promised: What is promised to whoever handed it in.
    """

    job: Job
    words: tuple[str, str]
    common: tuple[str, str]
    alike: tuple[str, str]
    most: int
    since: float
    promised: Future[Outcome] = field(default_factory=Future)


class JobPool(Processes):
    """Runs jobs in worker processes on this machine, several at once in each where the student has slots.

    Args:
        workers: How many processes; on a machine with cards each has one of them in turn.
        most: Jobs at once in each.
        limits: Threads and deadline of each.
    """

    def __init__(self, workers: int, most: int, limits: Limits | None = None) -> None:
        super().__init__(workers, limits)
        self.width = workers * most
        self._most = most
        self._queue: list[_Waiting] = []
        self._fits: dict[str, int] = {}  # by student, how many fitted into memory
        self._cards = len(cards())

    @classmethod
    def from_spec(cls, spec: ExecutorSpec) -> Self:
        """See Executor; without a number of workers there is one for each card, or else for each core."""
        refuse_others(spec, "pool")
        limits = Limits(threads=spec.threads, deadline=spec.deadline)
        return cls(spec.workers or len(cards()) or cores(), spec.pool_width, limits)

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor."""
        student, root = student_of(job.student), str(on_disk(blobs, "pool").root)
        named = job.student.model_dump_json()
        waiting = _Waiting(
            job,
            (job.text(), key),
            (student.fingerprint, root),
            (named + root, job.train.recipe.model_dump_json() if job.train else ""),
            min(self._most, slots_of(student)),
            time.monotonic(),
        )
        self._wait([waiting])
        return waiting.promised

    def _wait(self, some: list[_Waiting]) -> None:
        """Put jobs in the queue, and a turn in the line of workers for each; a turn may find that its job is gone."""
        with self._lock:
            closed = self._closed
            self._queue += [] if closed else some
        for waiting in some:
            if closed:
                waiting.promised.set_exception(WorkerLostError("killed", "the executor was closed"))
            else:
                self._line.submit(self._turn)

    def _turn(self, place: int) -> Future[None]:
        over: Future[None] = Future()
        self._gather(place, over)
        return over

    def _gather(self, place: int, over: Future[None]) -> None:
        """Begin a batch, or look again in a moment if it may become larger; end the turn if nothing waits."""
        with self._lock:
            batch = self._batch()
            ready = not batch or len(batch) == batch[0].most or self._closed
            ready = ready or time.monotonic() - max(waiting.since for waiting in self._queue) >= LINGER
            if ready:
                self._queue = [waiting for waiting in self._queue if waiting not in batch]
        if not ready:
            later = threading.Timer(LINGER, self._gather, (place, over))
            later.daemon = True
            later.start()
        elif batch:
            self._begin(place, over, batch)
        else:
            over.set_result(None)

    def _batch(self) -> list[_Waiting]:
        """The jobs that would run with the one that has waited longest, it first."""
        batch: list[_Waiting] = []
        for waiting in self._queue:
            most = min(w.most for w in (*batch, waiting))
            fits = self._fits.get(waiting.alike[0], most)
            if len(batch) < min(most, fits) and waiting.alike == (batch or [waiting])[0].alike:
                batch.append(waiting)
        return batch

    def _begin(self, place: int, over: Future[None], batch: list[_Waiting]) -> None:
        limits = self.limits
        if self._cards > 1:
            limits = limits.model_copy(update={"card": place % self._cards})
        given = [word for waiting in batch for word in waiting.words]
        words = (*batch[0].common, limits.model_dump_json(), *given)
        done: Future[list[Reply]]
        try:
            done = self._start(place, work_many, words, list, limits.deadline)
        except Exception as error:
            done = Future()
            done.set_exception(error)
        done.add_done_callback(partial(self._ended, over, batch))

    def _ended(self, over: Future[None], batch: list[_Waiting], done: Future[list[Reply]]) -> None:
        """Hand over what became of a batch, or send it again in halves; then the place is free."""
        error = WorkerLostError("killed", "the executor was closed") if done.cancelled() else done.exception()
        replies = [] if error is not None else done.result()
        memory = any(kind == "memory" for kind, _ in replies)
        if len(batch) > 1 and (error is not None or memory) and not self._closed:
            half = -(-len(batch) // 2)
            for waiting in batch:
                waiting.most, waiting.since = half, 0.0
            if memory:
                self._fits[batch[0].alike[0]] = half
            self._wait(batch)
        else:
            if memory:  # it does not fit alone, which tells nothing of others
                self._fits.pop(batch[0].alike[0], None)
            for i, waiting in enumerate(batch):
                try:
                    if error is not None:
                        raise error
                    waiting.promised.set_result(read_reply(replies[i], waiting.job))
                except Exception as failed:
                    waiting.promised.set_exception(failed)
        over.set_result(None)

    def close(self) -> None:
        """See Executor."""
        with self._lock:
            self._closed, queue, self._queue = True, self._queue, []
        super().close()
        for waiting in queue:
            waiting.promised.cancel()
