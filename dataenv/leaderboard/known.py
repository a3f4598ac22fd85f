"""What a store knows, asked without computing anything."""

from __future__ import annotations

from concurrent.futures import Future

from dataenv.blobs import Blobs
from dataenv.errors import DataenvError
from dataenv.jobs import Job, Outcome
from dataenv.runner import Runner
from dataenv.store import Store


class NotKnown(DataenvError):
    """The store does not hold what was asked, and nothing is to be computed here."""


class Closed:
    """An executor that runs nothing: what the store does not know is refused."""

    width = 1

    def submit(self, job: Job, key: str, blobs: Blobs) -> Future[Outcome]:
        """See Executor.

        Raises:
            NotKnown: Always.
        """
        what = "a training run" if job.train else "answers"
        raise NotKnown(f"{what} of state {key[:12]} would have to be computed")

    def close(self) -> None:
        """Nothing to stop."""


def reader(store: Store) -> Runner:
    """A runner that reads a store and computes nothing."""
    return Runner(store, Closed())
