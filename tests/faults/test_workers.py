"""Workers that are killed, hang, run out of memory or hold a mistake: on processes and on Ray, with real training."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.environment.steps import StepRecord
from dataenv.errors import JobFailedError
from dataenv.execution.executors import Executor, make_executor
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from tests.faults.conftest import FAULTY, Faults, until

KINDS = ["processes", pytest.param("ray", marks=pytest.mark.slow)]
Observed = Callable[[str], None]


def teach(store: Path, executor: Executor | None, seed: int = 0, steps: int = 3, **changes: Any) -> list[StepRecord]:
    """An episode of some steps."""
    env = TeachingEnv("skill-list", runner=Runner(Store(store), executor), **(FAULTY | changes))
    env.reset(seed=seed)
    for step in range(steps):
        env.step(np.random.default_rng(step).random(len(env.task.skills)).astype(np.float32))
    return env.history


def repeated(faults: Faults) -> int:
    """Training runs that were begun more than once."""
    return sum(n - 1 for n in Counter(name for _, name in faults.log("begun")).values())


@pytest.mark.fault("SIGKILL of a worker in the middle of a training run", "the same history, that job alone repeated")
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_worker_costs_its_job_alone(faults: Faults, tmp_path: Path, kind: str, observed: Observed) -> None:
    reference = teach(tmp_path / "straight", None)
    (faults.folder / "log").unlink()
    executor = make_executor(f"{kind}:1")
    try:
        first = teach(tmp_path / "store", executor, steps=1)
        faults.set("kill-1")
        assert teach(tmp_path / "store", executor) == reference
    finally:
        executor.close()
    assert first == reference[:2]
    assert len(faults.log("kill")) == 1
    assert repeated(faults) == 1
    observed("1 job repeated, history equal")


@pytest.mark.fault(
    "a job that kills its worker each time, beside a healthy one", "it fails after 3 tries, the other goes on"
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_deadly_job_takes_no_neighbour_with_it(faults: Faults, tmp_path: Path, kind: str, observed: Observed) -> None:
    reference = teach(tmp_path / "straight", None, steps=5)
    (faults.folder / "log").unlink()
    recipe = FAULTY["recipe"] | {"updates": 5}
    faults.set("kill-always", updates=5)
    executor = make_executor(f"{kind}:2")
    said: list[str] = []

    def deadly() -> None:
        try:
            teach(tmp_path / "store", executor, seed=1, recipe=recipe)
        except JobFailedError as error:
            said.append(str(error))

    thread = threading.Thread(target=deadly)
    try:
        thread.start()
        assert teach(tmp_path / "store", executor, steps=5) == reference
        thread.join(120)
    finally:
        executor.close()
    assert len(faults.log("kill")) == 3
    assert "could not be computed in 3 tries" in said[0]
    assert repeated(faults) == 2, "no job but the deadly one was begun twice"
    observed("3 tries, then a failed job; no job of the neighbour's was repeated")


@pytest.mark.fault("a job that runs out of memory each time", "it fails after 2 tries, and the worker goes on")
@pytest.mark.parametrize("kind", KINDS)
def test_out_of_memory_is_tried_twice(faults: Faults, tmp_path: Path, kind: str, observed: Observed) -> None:
    executor = make_executor(f"{kind}:1")
    try:
        faults.set("memory-always")
        with pytest.raises(JobFailedError, match="could not be computed in 2 tries: it ran out of memory"):
            teach(tmp_path / "store", executor)
        tries = len(faults.log("memory"))
        (faults.folder / "memory-always").unlink()
        faults.set("torch-1")  # torch says it in its own words, and is believed: tried again
        assert len(teach(tmp_path / "store", executor)) == 4
    finally:
        executor.close()
    assert tries == 2
    assert repeated(faults) == 3
    observed("2 tries, then a failed job")


@pytest.mark.fault("a mistake in the student's code", "raised at once with its own type, and never tried again")
@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_is_not_transient(faults: Faults, tmp_path: Path, kind: str, observed: Observed) -> None:
    executor = make_executor(f"{kind}:1")
    try:
        faults.set("bug-1")
        with pytest.raises(ZeroDivisionError, match="own code"):
            teach(tmp_path / "store", executor)
        assert len(faults.log("begun")) == 1
        faults.set("awkward-1")  # an error that no other process can unpack
        with pytest.raises(RuntimeError, match="Awkward: a mistake"):
            teach(tmp_path / "store", executor)
        assert len(faults.log("begun")) == 2
        assert len(teach(tmp_path / "store", executor)) == 4
    finally:
        executor.close()
    observed("1 try")


@pytest.mark.slow
@pytest.mark.fault(
    "a job that hangs in C with the interpreter's lock held",
    "ended at its deadline, tried again; where it stood is kept",
)
@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_a_hung_job_ends_at_its_deadline(faults: Faults, tmp_path: Path, kind: str, observed: Observed) -> None:
    reference = teach(tmp_path / "straight", None)
    (faults.folder / "log").unlink()
    executor = make_executor({"kind": kind, "workers": 1, "deadline": 45.0})
    try:
        teach(tmp_path / "store", executor, steps=1)
        faults.set("hang-1")
        began = time.monotonic()
        assert teach(tmp_path / "store", executor) == reference
        took = time.monotonic() - began
    finally:
        executor.close()
    assert len(faults.log("hang")) == 1
    assert repeated(faults) == 1
    assert took < 150
    assert "in _hang" in (tmp_path / "store" / "hung.log").read_text()
    observed("1 job repeated, history equal")


@pytest.mark.slow
@pytest.mark.fault("a job that hangs each time", "it fails after 2 tries, with where to look")
def test_a_job_that_always_hangs_fails(faults: Faults, tmp_path: Path, observed: Observed) -> None:
    executor = make_executor({"kind": "processes", "workers": 1, "deadline": 25.0})
    try:
        faults.set("hang-always")
        with pytest.raises(JobFailedError, match=r"in 2 tries: it was not done by its deadline.*hung\.log"):
            teach(tmp_path / "store", executor)
    finally:
        executor.close()
    assert len(faults.log("hang")) == 2
    observed("2 tries, then a failed job")


def test_close_does_not_wait_for_a_long_job(faults: Faults, tmp_path: Path) -> None:
    faults.set("hang-1")
    executor = make_executor("processes:1")
    raised: list[BaseException] = []

    def long() -> None:
        try:
            env.reset(seed=0)
        except Exception as error:
            raised.append(error)

    runner: Any = Runner(Store(tmp_path / "store"), executor)
    env = TeachingEnv("skill-list", runner=runner, **FAULTY)
    thread = threading.Thread(target=long)
    thread.start()
    until(lambda: faults.log("hang"))
    began = time.monotonic()
    runner.stop()
    thread.join(30)
    assert time.monotonic() - began < 10
    assert "was stopped" in str(raised[0])
    assert until(lambda: not faults.processes()) is True
