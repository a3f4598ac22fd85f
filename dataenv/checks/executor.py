"""``check_executor``: the outcome of every job is that of this process, to the bit, and failures come through."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from dataenv import registry
from dataenv.checks.common import ContractError, demand, says_what_it_is
from dataenv.checks.teacher import QUICK
from dataenv.execution.blobs import BlobCorruptError, Blobs
from dataenv.execution.executors import Executor, ExecutorSpec, Inline, make_executor, read_spec
from dataenv.execution.jobs import Exam, Job, Outcome, Training, from_initial
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from tasks.records import stream

PATIENCE = 300.0
"""Seconds that an outcome is waited for."""


def check_executor(executor: str | Mapping[str, Any] | ExecutorSpec) -> None:
    """Check an executor by three small training runs, and one that fails.

    Args:
        executor: A registered name, such as ``processes:2``, or the fields of an ``ExecutorSpec``.

    Raises:
        ContractError: With the first rule that is broken.
        SettingError: If it cannot be made.
    """
    says_what_it_is("executor", registry.find("executor", read_spec(executor).kind))
    jobs = [_job(seed) for seed in range(3)]
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        expected = _outcomes(Inline(), jobs, Store(Path(ours)).blobs)
        made = make_executor(executor)
        try:
            demand(isinstance(made.width, int) and made.width >= 1, f"width is {made.width!r}; give how many at once")
            blobs = Store(Path(theirs)).blobs
            found = _outcomes(made, jobs, blobs)
            demand(
                found == expected,
                "outcomes differ from those of this process; run jobs.execute with the job, key and blobs given",
            )
            for outcome in found:
                written = outcome.blob is not None and blobs.has(outcome.blob)
                demand(written, "the weights of an outcome are not in the blobs that were given; write them there")
            _executor_fails(made, jobs[0], blobs)
        finally:
            made.close()
        made.close()  # whoever closes twice is not to be punished


def _job(seed: int) -> Job:
    setting = make_setting(QUICK)
    task = setting.built_task
    lesson = tuple(task.generate(task.skills[0], 16, stream(seed, "check")))
    exam = Exam(name="check", prompts=tuple(e.prompt for e in lesson[:4]), decoding=setting.decoding)
    return from_initial(
        setting.student_spec, seed, Training(lesson=lesson, recipe=setting.recipe, seed=seed), exams=(exam,)
    )


def _outcomes(executor: Executor, jobs: list[Job], blobs: Blobs) -> list[Outcome]:
    """All at once, as a board hands them in."""
    futures = [executor.submit(job, job.key(), blobs) for job in jobs]
    strange = next((future for future in futures if not isinstance(future, Future)), None)
    demand(strange is None, f"submit() gives {type(strange).__name__}; give a concurrent.futures.Future")
    outcomes = [future.result(PATIENCE) for future in futures]
    named = all(isinstance(o, Outcome) and o.key == job.key() for o, job in zip(outcomes, jobs, strict=True))
    demand(named, f"submit() comes to {outcomes[0]!r:.80}; give the Outcome of the job that was handed in")
    return [outcome.model_copy(update={"seconds": None}) for outcome in outcomes]  # what it took is no part of it


def _executor_fails(executor: Executor, job: Job, blobs: Blobs) -> None:
    """A job whose parent is not there fails like in this process."""
    lost = job.model_copy(update={"initial": None, "blob": "0" * 64})
    try:
        executor.submit(lost, lost.key(), blobs).result(PATIENCE)
    except BlobCorruptError:
        return
    except Exception as error:
        raise ContractError(
            f"a job whose weights are missing raises {type(error).__name__}; let what jobs.execute raises come through"
        ) from error
    raise ContractError("a job whose weights are missing has an outcome; let what jobs.execute raises come through")
