"""The contract of an executor, and the plainest of them: this process."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Literal, Protocol, Self

from dataenv.errors import DataenvError, SettingError
from dataenv.execution.blobs import Blobs
from dataenv.execution.jobs import Job, Outcome, execute
from dataenv.execution.spec import ExecutorSpec, refuse_others

Why = Literal["killed", "memory", "deadline"]


class WorkerLostError(DataenvError):
    """A worker ended without an outcome; trying again may help. Nothing else is transient.

    Attributes:
        why: ``killed`` (with its process or its node), ``memory``, or ``deadline``.
    """

    def __init__(self, why: Why, said: str) -> None:
        super().__init__(said)
        self.why = why


class Executor(Protocol):
    """Runs jobs; ``width`` is how many at once.

    The class of a registered one also has ``from_spec(spec: ExecutorSpec) -> Executor``, a classmethod. It raises a
    SettingError for a field that it has no use for, or for what is not there.
    """

    width: int

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """Start a job. The future raises what ``jobs.execute`` raises, or WorkerLostError."""

    def close(self) -> None:
        """Stop the workers; jobs in flight are lost, and nothing else."""


class Inline:
    """Runs each job at once, in this process; it has no deadline, for nothing could enforce it."""

    width = 1

    @classmethod
    def from_spec(cls, spec: ExecutorSpec) -> Self:
        """See Executor; one job at a time."""
        if spec.workers > 1:
            raise SettingError(
                f"executor: workers is {spec.workers}; 'inline' runs one job at a time, give kind='processes'"
            )
        refuse_others(spec, "inline")
        return cls()

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
