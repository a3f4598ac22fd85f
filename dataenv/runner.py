"""Runner: a job goes in, its outcome comes out, from the store where it is known and from the executor where not.

It is the one place that knows both. Identical jobs in flight run once; a parent whose weights are gone or damaged is
rebuilt from its lineage; rows are written here, in the driver, after the worker has written the blob.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dataenv.blobs import BlobCorrupt
from dataenv.errors import DataenvError, JobFailed, StoreError
from dataenv.executors import Executor, Inline
from dataenv.jobs import Answers, Job, Outcome
from dataenv.store import Store
from students.base import Trained, TrainingDiverged

log = logging.getLogger(__name__)
ATTEMPTS = 3
T = TypeVar("T")
R = TypeVar("R")


class Runner:
    """Runs jobs against a store.

    Attributes:
        trained: How many training runs were computed for this runner, rebuilds included.
    """

    def __init__(self, store: Store, executor: Executor | None = None) -> None:
        self.store, self.executor = store, executor or Inline()
        self.trained = 0
        self._flying: dict[tuple[str, bool, tuple[str, ...]], Future[Outcome]] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    def run(self, job: Job) -> Outcome:
        """Run a job, or read what it came to. Safe to call from many threads.

        Raises:
            JobFailed: If training diverged, or a worker was lost three times.
            StoreError: If the store cannot be used.
        """
        key = job.key()
        row = self._row(key) if job.train is not None or job.initial is None else None
        known = {e.name: found for e in job.exams if (found := self._answers(e.key(key))) is not None}
        owed = tuple(e for e in job.exams if e.name not in known)
        if (row is not None or job.train is None) and not owed:
            return _outcome(key, row, known)
        if row is not None and job.train is not None:
            job = Job(student=job.student, parent=key, exams=owed)
        else:
            job = job.model_copy(update={"exams": owed})
        fresh = self._compute(job, key)
        if job.train is not None:
            row = self._commit(job, fresh)
        for exam in owed:
            record = fresh.answers[exam.name].model_dump(mode="json")
            known[exam.name] = Answers.model_validate(self.store.put("exams", exam.key(key), record))
        return _outcome(key, row, {e: known[e] for e in sorted(known)})

    @property
    def busy(self) -> int:
        """How many jobs are with the executor now; one that runs them in this process does not tell."""
        return len(self._flying)

    def stop(self) -> None:
        """Refuse every further job, and drop those that wait for a worker."""
        self._stopping.set()
        self.executor.close()

    def evict(self, key: str) -> None:
        """Drop the weights of a state; they are rebuilt from the lineage if anyone asks for them again."""
        row = self.store.get("states", key)
        if row is not None:
            self.store.blobs.drop(row["blob"])

    def weights(self, key: str) -> bytes:
        """The weights of a state that was trained, rebuilt if need be.

        Raises:
            StoreError: If this store does not know the state.
        """
        blob = self._present(key)
        try:
            return self.store.blobs.get(blob)
        except BlobCorrupt:
            self.store.blobs.drop(blob)
            self._rebuild(key)
            return self.store.blobs.get(blob)

    def _row(self, key: str) -> Any | None:
        return self.store.get("states", key) if self.store.reuse else None

    def _answers(self, key: str) -> Answers | None:
        found = self.store.get("exams", key) if self.store.reuse else None
        return None if found is None else Answers.model_validate(found)

    def _compute(self, job: Job, key: str) -> Outcome:
        """Run a job for certain, once among equal ones in flight, again where a worker or a blob was lost."""
        for attempt in range(ATTEMPTS):
            if self._stopping.is_set():
                raise DataenvError("the runner was stopped; run the same command again to go on")
            ready = job if job.initial is not None else job.model_copy(update={"blob": self._present(job.parent)})
            future, mine = self._start(ready, key)
            try:
                outcome = future.result()
                with self._lock:
                    self.trained += mine and job.train is not None
                return outcome
            except BlobCorrupt as error:
                log.warning(
                    "weights %s of state %s are missing or damaged; rebuilding them", error.name[:12], job.parent[:12]
                )
                self.store.blobs.drop(error.name)
            except BrokenProcessPool as error:
                log.warning("a worker was lost (attempt %d of %d): %s", attempt + 1, ATTEMPTS, error)
            except TrainingDiverged as error:
                raise JobFailed(f"training diverged: {error}") from error
            except OSError as error:
                raise StoreError(
                    f"store {self.store.path or 'in memory'} cannot be written ({error}); free space"
                ) from error
            finally:
                if mine:
                    with self._lock:
                        self._flying = {k: f for k, f in self._flying.items() if f is not future}
        raise JobFailed(f"state {key[:12]} could not be computed in {ATTEMPTS} attempts; see the warnings above")

    def _start(self, job: Job, key: str) -> tuple[Future[Outcome], bool]:
        name = (key, job.train is not None, tuple(e.key(key) for e in job.exams))
        with self._lock:
            if name in self._flying:
                return self._flying[name], False
            if self.executor.width > 1:
                future = self.executor.submit(job, key, self.store.blobs)
                self._flying[name] = future
                return future, True
        return self.executor.submit(job, key, self.store.blobs), True

    def _commit(self, job: Job, fresh: Outcome) -> Any:
        """Write the row of a new state, its derivation with it: that is what it is rebuilt from."""
        assert fresh.trained is not None
        derivation = job.model_dump(mode="json", exclude={"exams", "blob"})
        row = {"blob": fresh.blob, "trained": fresh.trained.model_dump(mode="json"), "job": derivation}
        return self.store.put("states", fresh.key, row)

    def _present(self, key: str) -> str:
        """The blob of a trained state, rebuilt if it is not there."""
        row = self.store.get("states", key)
        if row is None:
            raise StoreError(
                f"state {key[:12]} is not in store {self.store.path or 'in memory'}; open the store that made it"
            )
        if not self.store.blobs.has(row["blob"]):
            self._rebuild(key)
        return str(row["blob"])

    def _rebuild(self, key: str) -> None:
        """Train a state again from its lineage; equal bytes are demanded, for others may hold its answers."""
        row = self.store.get("states", key)
        assert row is not None
        made = self._compute(Job.model_validate(row["job"]), key)
        if made.blob != row["blob"]:
            raise StoreError(
                f"state {key[:12]} was rebuilt with other weights than it had: this machine does not repeat its own "
                "arithmetic; start a new --store"
            )


def side_by_side(runner: Runner, items: Sequence[T], act: Callable[[T], R]) -> list[R]:
    """``[act(item) for item in items]``, as many at once as the executor is wide, in threads of the driver.

    The first failure ends it: what has not begun is not begun, and the failure is raised.
    """
    if runner.executor.width == 1:
        return [act(item) for item in items]
    with ThreadPoolExecutor(runner.executor.width + 1) as threads:  # one more, so that no worker waits for the driver
        futures = [threads.submit(act, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:  # Ctrl-C too: threads under way end at their next job
            runner.stop()
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]


def _outcome(key: str, row: Any | None, answers: dict[str, Answers]) -> Outcome:
    if row is None:
        return Outcome(key=key, answers=answers)
    return Outcome(key=key, blob=row["blob"], trained=Trained.model_validate(row["trained"]), answers=answers)
