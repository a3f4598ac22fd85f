"""What a store knows, asked without computing anything."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from dataenv.errors import DataenvError
from dataenv.execution.blobs import Blobs
from dataenv.execution.jobs import Job, Outcome
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store, Table


class NotKnownError(DataenvError):
    """The store does not hold what was asked, and nothing is to be computed here."""


class Closed:
    """An executor that runs nothing: what the store does not know is refused."""

    width = 1

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor.

        Raises:
            NotKnownError: Always.
        """
        what = "a training run" if job.train else "answers"
        raise NotKnownError(f"{what} of state {key[:12]} would have to be computed")

    def close(self) -> None:
        """Nothing to stop."""


class Said(Table):
    """Rows of which none is missing: where one would be, somebody would have to be asked."""

    def get(self, key: str) -> Any:
        """See Table.

        Raises:
            NotKnownError: If the row is not there.
        """
        row = super().get(key)
        if row is None:
            raise NotKnownError(f"a language model would have to be asked (request {key[:12]})")
        return row


def reader(store: Store) -> Runner:
    """A runner that reads a store, computes nothing and lets no teacher ask a language model."""
    runner = Runner(store, Closed())
    runner.chats = Said(store, "chats")
    return runner
