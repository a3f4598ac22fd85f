"""Lineage: how a trained state came about, as the store keeps it. It is what weights are rebuilt from.

The row of a state names its lessons by their digests and holds none of them: rows are looked up all the time, and an
untaught student was made from twenty thousand examples.
"""

from __future__ import annotations

from typing import Any

from dataenv.execution.jobs import Job
from dataenv.execution.store import Store

DATA = ("lesson", "earlier", "watched")


def write(job: Job, store: Store) -> dict[str, Any]:
    """What a row keeps of the job that made its state; the lessons are put into the store."""
    assert job.train is not None, "a state without training has no lineage"
    kept = job.model_dump(mode="json", exclude={"exams": True, "blob": True, "train": set(DATA)})
    kept["train"] |= {name: store.put_lesson(getattr(job.train, name)) for name in DATA}
    return kept


def read(row: Any, store: Store) -> Job:
    """The job that made the state of a row.

    Raises:
        StoreError: If this store does not hold its lessons.
    """
    kept = row["job"]
    train = kept["train"] | {name: store.lesson(kept["train"][name]) for name in DATA}
    return Job.model_validate(kept | {"train": train})
