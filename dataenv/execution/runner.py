"""Runner: a job goes in, its outcome comes out, from the store where it is known and from the executor where not.

It is the one place that knows both. Identical jobs in flight run once; a parent whose weights are gone or damaged is
rebuilt from its lineage; rows are written here, in the driver, after the worker has written the blob.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from dataenv.errors import DataenvError, JobFailedError, StoreError
from dataenv.execution import advice, lineage
from dataenv.execution.blobs import BlobCorruptError
from dataenv.execution.inline import Executor, Inline, WorkerLostError
from dataenv.execution.jobs import Answers, BuildSpec, Exam, Job, Outcome, student_of
from dataenv.execution.making import MADE, made_in
from dataenv.execution.store import Store
from students.base import Trained, TrainingDivergedError
from students.remote.rebuilding import is_rebuilt
from tasks import media
from tasks.records import Example, as_objects

log = logging.getLogger(__name__)
ATTEMPTS = {"killed": 3, "memory": 2, "deadline": 2, "corrupt": 3}
"""How often a job is tried, by what became of it. Whatever else befalls it would befall it again."""
ADVICE = {
    "killed": "its worker was lost each time; see the warnings above, and whether the machine has the memory",
    "memory": "it ran out of memory each time; lower recipe.batch, run fewer workers, or give jobs more",
    "deadline": "it was not done by its deadline; raise --deadline, or see in hung.log, in the store, where it stood",
    "corrupt": "its parent's weights were damaged again each time; look at the disk",
}
RECENT = 4096
"""States whose blobs are remembered, so that the row of a parent need not be read at each step."""
T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Turn:
    """A lock for one state, which a thread may take again to rebuild the state that it examines."""

    lock: Any = field(default_factory=threading.RLock)
    threads: int = 0


class LessonLock:
    """A lock that its holder may give up for a while. Not to be taken twice by one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None

    def __enter__(self) -> None:
        self._lock.acquire()
        self._holder = threading.get_ident()

    def __exit__(self, *raised: object) -> None:
        self._holder = None
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let others have it meanwhile, if this thread holds it."""
        if self._holder != threading.get_ident():
            yield
            return
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


class Runner:
    """Runs jobs against a store.

    Attributes:
        trained: How many training runs were computed for this runner, rebuilds included.
        chats: What language models said, for teachers.
        lesson_lock: Held by the one thread that makes or ends a lesson: a hundred that each want the interpreter would
            spend most of their time passing it on (half of it was lost at a hundred workers). While a task's checker or
            judge works, it is released.
        asked: Names of the states and exams that were asked for, where somebody counts them (else ``None``);
            ``store.costs`` knows what they cost.
    """

    def __init__(self, store: Store, executor: Executor | None = None) -> None:
        self.store, self.executor = store, executor or Inline()
        self.trained, self._busy = 0, 0
        self.chats = store.table("chats")
        self.lesson_lock = LessonLock()
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._waiting: Counter[int] = Counter()
        self.asked: set[str] | None = None
        self._mark = threading.local()
        self._latest: dict[str, str] = {}

    def run(self, job: Job) -> Outcome:
        """Run a job, or read what it came to. Safe to call from many threads.

        Raises:
            JobFailedError: If training diverged, or a worker was lost too often (see ``ATTEMPTS``).
            StoreError: If the store cannot be used.
        """
        key = job.key()
        between = time.thread_time() - getattr(self._mark, "at", time.thread_time())
        try:
            with self.waited(), self._turn(key):
                return self._run(job, key, between)
        finally:
            self._mark.at = time.thread_time()

    def _run(self, job: Job, key: str, between: float) -> Outcome:
        row = self._row(key) if job.train is not None or job.initial is None else None
        names = {e.name: e.key(key) for e in job.exams}
        known = {e.name: found for e in job.exams if (found := self._answers(e, names[e.name])) is not None}
        owed = tuple(e for e in job.exams if e.name not in known)
        if row is not None and job.train is not None:
            lineage.mend(job.train, row, self.store)
        if self.asked is not None:
            self.asked.update([key] * (job.train is not None), names.values())
        if (row is not None or job.train is None) and not owed:
            return _outcome(key, row, known)
        if row is not None and job.train is not None:
            job = Job(student=job.student, parent=key, exams=owed)
        else:
            job = job.model_copy(update={"exams": owed})
        fresh = self._compute(job, key)
        made = [key] * (job.train is not None) + [names[exam.name] for exam in owed]
        self._note(made, (fresh.seconds or 0.0) + between)
        if job.train is not None:
            for written in job.train.written.values():
                written.body  # noqa: B018 (packed before the database is held)
        with self.store.together():
            if job.train is not None:
                row = self._commit(job, fresh)
            for exam in owed:
                record = fresh.answers[exam.name].model_dump(mode="json")
                kept = self.store.put("exams", names[exam.name], record)
                known[exam.name] = fresh.answers[exam.name] if kept is record else Answers.model_validate(kept)
        return _outcome(key, row, {e: known[e] for e in sorted(known)})

    def make(self, job: Job) -> tuple[Example, ...]:
        """What a job makes with the help of its parent, or what was made before.

        Args:
            job: With ``make``, and nothing to train or to answer.

        Raises:
            JobFailedError, StoreError: As ``run`` does.
        """
        assert job.make is not None
        name = job.make.key(job.parent)
        if self.asked is not None:
            self.asked.add(name)
        with self.waited(), self._turn(name):
            read = partial(made_in, blobs=self.store.blobs)
            made: tuple[Example, ...] | None = self.store.get("exams", name, read) if self.store.reuse else None
            if made is None:
                fresh = self._compute(job, job.parent)
                self._note([name], fresh.seconds or 0.0)
                made = read(self.store.put("exams", name, {MADE: as_objects(fresh.made)}))
            return made

    def _note(self, made: Sequence[str], seconds: float) -> None:
        """Note what states and exams cost: the job's processor time, and the driver's since this thread's last job."""
        if not self.store.readonly:
            for i, name in enumerate(made):
                self.store.costs.add(name, 0.0 if i else seconds)

    def credit(self, asked: Iterable[str], trained: int) -> None:
        """Count what another driver on this store asked for and computed for this one."""
        with self._lock:
            self.trained += trained
            if self.asked is not None:
                self.asked.update(asked)
        self.store.costs.renew()

    @contextmanager
    def waited(self) -> Iterator[None]:
        """Note that this thread waits for jobs meanwhile."""
        me = threading.get_ident()
        with self._lock:
            self._waiting[me] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[me] -= 1
                if not self._waiting[me]:
                    del self._waiting[me]

    def waits(self, thread: threading.Thread) -> bool:
        """Whether a thread waits for jobs now."""
        return self._waiting[thread.ident or 0] > 0

    @property
    def stopped(self) -> bool:
        """Whether it refuses every further job."""
        return self._stopping.is_set()

    @property
    def busy(self) -> int:
        """How many jobs are with the executor now."""
        return self._busy

    @contextmanager
    def _turn(self, key: str) -> Iterator[None]:
        """Let one thread at a time look up and commit a state; the next one finds it in the store."""
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.threads += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.threads -= 1
                if not turn.threads:
                    del self._turns[key]

    def stop(self) -> None:
        """Refuse every further job, and drop those that wait for a worker."""
        self._stopping.set()
        self.executor.close()

    def evict(self, key: str) -> None:
        """Drop the weights of a state, if they can be rebuilt from the lineage when anyone asks for them again."""
        row = lineage.row_of(key, self.store)
        if row is not None and not self.store.readonly and _is_rebuilt(row):
            self.store.blobs.drop(row["blob"])

    def weights(self, key: str) -> bytes:
        """The weights of a state that was trained, rebuilt if need be.

        Raises:
            StoreError: If this store does not know the state.
        """
        blob = self._present(key)
        try:
            return self.store.blobs.get(blob)
        except BlobCorruptError:
            self.store.blobs.drop(blob)
            self._rebuild(key)
            return self.store.blobs.get(blob)

    def _row(self, key: str) -> Any | None:
        return lineage.row_of(key, self.store) if self.store.reuse else None

    def _answers(self, exam: Exam, name: str) -> Answers | None:
        return self.store.get("exams", name, exam.answers) if self.store.reuse else None

    def _compute(self, job: Job, key: str) -> Outcome:
        """Run a job, and run it again if a worker or a blob is lost."""
        lost: Counter[str] = Counter()
        self.store.must_be_writable()
        while True:
            if self._stopping.is_set():
                raise DataenvError("the runner was stopped; run the same command again to go on")
            ready = job if job.initial is not None else job.model_copy(update={"blob": self._present(job.parent)})
            try:
                self._show(ready)
                outcome = self._submit(ready, key)
                with self._lock:
                    self.trained += job.train is not None
                return outcome
            except BlobCorruptError as error:
                why = "corrupt"
                self._mend(error.name, job.parent, lost[why])
            except WorkerLostError as error:
                why = error.why
                if not self._stopping.is_set():
                    log.warning("state %s, try %d of %d: %s", key[:12], lost[why] + 1, ATTEMPTS[why], error)
            except StoreError:
                raise
            except TrainingDivergedError as error:
                raise JobFailedError(f"training diverged: {error}") from error
            except OSError as error:
                if not advice.known(error):
                    raise
                raise self.store.failed(error) from error
            lost[why] += 1
            if lost[why] >= ATTEMPTS[why] and not self._stopping.is_set():
                raise JobFailedError(f"state {key[:12]} could not be computed in {lost[why]} tries: {ADVICE[why]}")

    def _show(self, job: Job) -> None:
        """Put the images that a job needs where workers find them. Those of a stored lesson are there already."""
        if "image" not in student_of(job.student).sees:
            return
        for name in sorted(job.pictures):
            if not self.store.blobs.has(name):
                self.store.blobs.put(media.picture(name), sync=False)

    def _submit(self, job: Job, key: str) -> Outcome:
        with self.working():
            return self.executor.submit(job, key, self.store.blobs).result()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Note that the executor works at something for this thread meanwhile."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def _mend(self, blob: str, state: str, before: int) -> None:
        """Drop a blob that a worker reported as lost, if it is missing or damaged here, so that it is rebuilt."""
        try:
            self.store.blobs.get(blob)
        except BlobCorruptError:
            log.warning("weights %s of state %s are missing or damaged; rebuilding them", blob[:12], state[:12])
            self.store.blobs.drop(blob)
            return
        if before:  # once may be a neighbour's repair or a slow file system
            raise StoreError(
                f"a worker cannot read weights {blob[:12]} and this machine can; give a --store that every node shares"
            )

    def _commit(self, job: Job, fresh: Outcome) -> Any:
        """Write the row of a new state and its derivation, from which it can be rebuilt."""
        assert fresh.trained is not None
        derivation = lineage.write(job, self.store)
        row = {"blob": fresh.blob, "trained": fresh.trained.model_dump(mode="json"), "job": derivation}
        committed = self.store.put("states", fresh.key, row)
        if len(self._latest) >= RECENT:
            self._latest.clear()
        self._latest[fresh.key] = str(committed["blob"])
        return committed

    def _present(self, key: str) -> str:
        """The blob of a trained state, rebuilt if it is not there."""
        latest = self._latest.get(key)
        if latest is not None and self.store.blobs.has(latest):
            return latest
        row = lineage.row_of(key, self.store)
        if row is None:
            raise StoreError(
                f"state {key[:12]} is not in store {self.store.path or 'in memory'}; open the store that made it"
            )
        if not self.store.blobs.has(row["blob"]):
            self._rebuild(key)
        return str(row["blob"])

    def _origin(self, key: str, row: Any) -> Job:
        """The job that made a state; if its lessons are lost or damaged, its row is dropped to be computed again."""
        try:
            return lineage.read(row, self.store)
        except StoreError as error:
            self.store.forget("states", key)
            raise StoreError(
                f"state {key[:12]} has lost its weights and its lessons ({error}); it is forgotten: run the same "
                "command again, and it is made anew"
            ) from error

    def _rebuild(self, key: str) -> None:
        """Train a state again from its lineage, and refuse other bytes than before: stored answers depend on them."""
        row = lineage.row_of(key, self.store)
        assert row is not None
        with self._turn(key):
            if self.store.blobs.has(row["blob"]):  # somebody else has rebuilt it
                return
            if not _is_rebuilt(row):
                raise StoreError(
                    f"state {key[:12]} was trained by a service, which would train it to other weights now, and this "
                    "store has lost where the service keeps it; start a new --store"
                )
            made = self._compute(self._origin(key, row), key)
        if made.blob != row["blob"]:
            raise StoreError(
                f"state {key[:12]} was rebuilt with other weights than it had: this machine does not repeat its own "
                "arithmetic; start a new --store"
            )


def side_by_side(runner: Runner, items: Iterable[T], act: Callable[[T], R]) -> list[R]:
    """``[act(item) for item in items]``, as many at once as the executor is wide, in threads of the driver.

    Items that are made one by one are acted on as they come.

    The first failure ends it: what has not begun is not begun, and the failure is raised.
    """
    if runner.executor.width == 1:
        return [act(item) for item in items]
    with (
        runner.waited(),
        ThreadPoolExecutor(runner.executor.width + 1) as threads,
    ):  # one more, so that no worker waits for the driver
        futures: list[Future[R]] = []
        try:
            futures.extend(threads.submit(act, item) for item in items)
            for future in as_completed(futures):
                future.result()
        except BaseException:  # Ctrl-C too: threads under way end at their next job
            runner.stop()
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]


def settle_all(runner: Runner, jobs: Iterable[Job]) -> list[Outcome | JobFailedError]:
    """What jobs come to, run side by side; one that failed leaves its error in its place, and the others go on."""

    def act(job: Job) -> Outcome | JobFailedError:
        try:
            return runner.run(job)
        except JobFailedError as error:
            return error

    return side_by_side(runner, jobs, act)


def run_all(runner: Runner, jobs: Sequence[Job]) -> list[Outcome]:
    """The outcomes of jobs, run side by side.

    Raises:
        JobFailedError: If one failed, when all are done: raised among them it would stop the runner, and with it every
            other episode of the board.
    """
    done: list[Outcome] = []
    for outcome in settle_all(runner, jobs):
        if isinstance(outcome, JobFailedError):
            raise outcome
        done.append(outcome)
    return done


def _is_rebuilt(row: Any) -> bool:
    """Whether the state of a row can be rebuilt bit by bit."""
    return is_rebuilt(student_of(BuildSpec.model_validate(row["job"]["student"])))


def _outcome(key: str, row: Any | None, answers: dict[str, Answers]) -> Outcome:
    if row is None:
        return Outcome(key=key, answers=answers)
    return Outcome(key=key, blob=row["blob"], trained=Trained.model_validate(row["trained"]), answers=answers)
