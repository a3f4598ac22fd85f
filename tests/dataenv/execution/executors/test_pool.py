"""The pool: jobs that are alike share a batch, and what goes wrong in a batch becomes the fault of one job alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from dataenv.errors import SettingError
from dataenv.execution.executors import make_executor, read_spec, worker
from dataenv.execution.executors import pool as pools
from dataenv.execution.executors.pool import JobPool
from dataenv.execution.executors.worker import Limits, Reply
from dataenv.execution.inline import WorkerLostError
from dataenv.execution.jobs import (
    BuildSpec,
    Exam,
    Job,
    Outcome,
    Training,
    execute,
    execute_many,
    from_initial,
    student_of,
)
from dataenv.execution.runner import Runner, settle_all
from dataenv.execution.store import Store
from students.base import Recipe, TrainingDivergedError
from students.training.loop import pack, unpack
from tasks.arithmetic import Arithmetic
from tasks.records import Example, stream

ARGS: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2, "context": 32, "device": "cpu"}
STUDENT = BuildSpec(name="pocket-stacked", args={**ARGS, "slots": 8})
RECIPE = Recipe(updates=2, batch=4)
TASK = Arithmetic()
Fails = Callable[[Sequence[str]], Exception | None]
"""What a batch of these keys fails by."""


def lesson(seed: int) -> tuple[Example, ...]:
    return tuple(TASK.generate(TASK.skills[0], 8, stream(seed, "pool")))


def job(seed: int, student: BuildSpec = STUDENT, recipe: Recipe = RECIPE) -> Job:
    shown = lesson(99)
    exam = Exam(name="test", prompts=tuple(e.prompt for e in shown), golds=tuple(e.response for e in shown))
    return from_initial(student, seed, Training(lesson=lesson(seed), recipe=recipe, seed=seed), (exam,))


def plain(outcome: Outcome) -> Outcome:
    """Without what it took."""
    return outcome.model_copy(update={"seconds": None})


class Threads(JobPool):
    """The pool, with a thread in place of each worker process, and a note of each batch's size."""

    def __init__(
        self, workers: int = 1, most: int = 8, fails: Callable[[Sequence[str]], Exception | None] | None = None
    ):
        super().__init__(workers, most, Limits(deadline=60))
        self.sizes: list[int] = []
        self._fails = fails or (lambda keys: None)

    def _start(self, place: int, act: Any, words: Any, read: Any, most: float | None) -> Future[Any]:
        promised: Future[Any] = Future()
        keys = words[4::2]
        self.sizes.append(len(keys))

        def run() -> None:
            try:
                failure = self._fails(keys)
                if failure is not None:
                    raise failure
                promised.set_result(act(*words))
            except Exception as error:
                promised.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return promised


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(autouse=True)
def no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's watch would end this process."""
    monkeypatch.setattr(worker.faulthandler, "dump_traceback_later", lambda *args, **named: None)


def outcomes(executor: JobPool, jobs: Sequence[Job], store: Store) -> list[Future[Outcome]]:
    futures = [executor.submit(each, each.key(), store.blobs) for each in jobs]
    for future in futures:
        future.exception(120)
    return futures


def test_a_batch_gives_what_each_job_gives_alone(store: Store) -> None:
    jobs, executor = [job(seed) for seed in range(8)], Threads()
    found = [plain(future.result()) for future in outcomes(executor, jobs, store)]
    assert found == [plain(execute(each, each.key(), store.blobs)) for each in jobs]
    assert executor.sizes == [8]
    assert executor.width == 8


def test_jobs_that_differ_are_not_in_one_batch(store: Store) -> None:
    """Another student, another recipe, or no slots."""
    plainly = BuildSpec(name="pocket", args={k: v for k, v in ARGS.items() if k != "device"})
    jobs = [job(0), job(1), job(0, recipe=Recipe(updates=3, batch=4)), job(0, plainly), job(1, plainly)]
    executor = Threads()
    found = [plain(future.result()) for future in outcomes(executor, jobs, store)]
    assert found == [plain(execute(each, each.key(), store.blobs)) for each in jobs]
    assert sorted(executor.sizes) == [1, 1, 1, 2]


def test_a_student_without_slots_does_not_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "LINGER", 3600.0)
    plainly = BuildSpec(name="pocket", args={k: v for k, v in ARGS.items() if k != "device"})
    assert outcomes(Threads(), [job(0, plainly)], store)[0].result().trained is not None


def test_memory_that_runs_out_halves_the_batch_and_later_ones(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fits_two(jobs: Sequence[Job], keys: Sequence[str], blobs: Any) -> Any:
        if len(jobs) > 2:
            raise MemoryError
        return execute_many(jobs, keys, blobs)

    monkeypatch.setattr(worker, "execute_many", fits_two)
    executor, jobs = Threads(), [job(seed) for seed in range(8)]
    found = [plain(future.result()) for future in outcomes(executor, jobs, store)]
    assert found == [plain(execute(each, each.key(), store.blobs)) for each in jobs]
    assert executor.sizes == [8, 4, 4, 2, 2, 2, 2] or executor.sizes == [8, 4, 2, 2, 2, 2]
    executor.sizes.clear()
    outcomes(executor, [job(seed) for seed in range(10, 14)], store)
    assert executor.sizes == [2, 2]


def test_one_job_that_never_fits_is_its_own_failure(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job(seed) for seed in range(4)]

    def too_large(some: Sequence[Job], keys: Sequence[str], blobs: Any) -> Any:
        if jobs[2].key() in keys:
            raise MemoryError("no room")
        return execute_many(some, keys, blobs)

    monkeypatch.setattr(worker, "execute_many", too_large)
    executor = Threads()
    found = outcomes(executor, jobs, store)
    assert [type(future.exception()) for future in found] == [type(None), type(None), WorkerLostError, type(None)]
    failure = found[2].exception()
    assert isinstance(failure, WorkerLostError)
    assert failure.why == "memory"
    executor.sizes.clear()
    outcomes(executor, [job(seed) for seed in range(30, 34)], store)
    assert executor.sizes == [4]  # it says nothing of others


@pytest.mark.parametrize("why", ["deadline", "killed"])
def test_a_batch_that_is_lost_leaves_its_one_bad_job_behind(why: Any, store: Store) -> None:
    """A hung job takes its neighbours with it, and does so no more when halved often enough."""
    jobs = [job(seed) for seed in range(4)]
    bad = jobs[1].key()
    executor = Threads(fails=lambda keys: WorkerLostError(why, "gone") if bad in keys else None)
    found = outcomes(executor, jobs, store)
    assert [future.exception() is None for future in found] == [True, False, True, True]
    failure = found[1].exception()
    assert isinstance(failure, WorkerLostError)
    assert failure.why == why
    executor.sizes.clear()
    outcomes(executor, [job(seed) for seed in range(20, 24)], store)
    assert executor.sizes == [4]  # only memory is remembered


def test_a_batch_has_the_deadline_of_a_job(store: Store) -> None:
    given: list[tuple[float | None, str]] = []

    class Noting(Threads):
        def _start(self, place: int, act: Any, words: Any, read: Any, most: float | None) -> Future[Any]:
            given.append((most, words[2]))
            return super()._start(place, act, words, read, most)

    outcomes(Noting(), [job(seed) for seed in range(4)], store)
    (most, limits), *others = given
    assert not others
    assert most == Limits.model_validate_json(limits).deadline == 60


def test_a_mistake_in_one_job_is_not_that_of_its_neighbours(store: Store) -> None:
    jobs = [job(seed) for seed in range(4)]
    jobs[3] = jobs[3].model_copy(update={"train": jobs[3].train.model_copy(update={"lesson": ()})})  # type: ignore[union-attr]
    found = outcomes(Threads(), jobs, store)
    assert [future.exception() is None for future in found] == [True, True, True, False]
    assert isinstance(found[3].exception(), ValueError)


def test_a_slot_that_is_not_a_number_diverges_alone(store: Store) -> None:
    student = student_of(STUDENT)
    broken = pack({name: value * float("nan") for name, value in unpack(student.initial(0))[0].items()})
    jobs = [job(seed) for seed in range(3)]
    jobs[1] = jobs[1].model_copy(update={"initial": None, "blob": store.blobs.put(broken)})
    executor = Threads()
    found = outcomes(executor, jobs, store)
    assert executor.sizes == [3]
    assert isinstance(found[1].exception(), TrainingDivergedError)
    assert plain(found[2].result()) == plain(execute(jobs[2], jobs[2].key(), store.blobs))


def test_what_waits_when_it_is_closed_is_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "LINGER", 3600.0)
    executor = Threads()
    waiting = executor.submit(job(0), job(0).key(), store.blobs)
    executor.close()
    executor.close()
    assert waiting.cancelled()
    late = executor.submit(job(1), job(1).key(), store.blobs)
    assert isinstance(late.exception(10), WorkerLostError)


def test_a_worker_keeps_its_card(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 7")
    assert worker.cards() == ["4", "7"]
    assert make_executor("pool").width == 2 * 16
    seen: list[int | None] = []

    class Noting(Threads):
        def _start(self, place: int, act: Any, words: Any, read: Any, most: float | None) -> Future[Any]:
            seen.append(Limits.model_validate_json(words[2]).card)
            done: Future[list[Reply]] = Future()
            done.set_result([("memory", "")])
            return done

    outcomes(Noting(workers=2, most=1), [job(0), job(1)], store)
    assert set(seen) <= {0, 1}


@pytest.fixture
def workers() -> Iterator[JobPool]:
    made = make_executor({"kind": "pool", "workers": 1, "pool_width": 4})
    assert isinstance(made, JobPool)
    yield made
    made.close()


def test_in_worker_processes(workers: JobPool, store: Store, tmp_path: Path) -> None:
    """Through a runner, with a job that fails for good among the others."""
    jobs = [job(seed) for seed in range(5)]
    worse = job(7, recipe=Recipe(updates=2, batch=4, rate=1.0, clip=1e30))
    found = settle_all(Runner(store, workers), [*jobs, worse])
    there = settle_all(Runner(Store(tmp_path / "here")), [*jobs, worse])
    assert [str(each) for each in found[5:]] == [str(each) for each in there[5:]]
    assert found[:5] == there[:5]


def test_fields_of_another_kind_are_refused() -> None:
    with pytest.raises(SettingError, match="pool_width is 8; it is for kind='pool' alone"):
        make_executor({"kind": "processes", "pool_width": 8})
    with pytest.raises(SettingError, match=r"num_gpus is 1\.0; it is for kind='ray' alone"):
        make_executor({"kind": "pool", "num_gpus": 1})
    assert read_spec("pool:2").pool_width == 16
