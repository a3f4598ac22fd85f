"""Lineage: how a trained state came about, as the store keeps it. It is what weights are rebuilt from.

The row of a state names its lessons by their digests and holds none of them: rows are looked up all the time, and an
untaught student was made from twenty thousand examples.
"""

from __future__ import annotations

from typing import Any

from dataenv.execution.jobs import DATA, Job, Training
from dataenv.execution.store import Store
from students.base import Trained
from tasks.records import Record


class StateRow(Record):
    """What the row of a state holds; the lessons of ``job`` stand in it by their digests."""

    blob: str
    trained: Trained
    job: dict[str, Any]


def checked(plain: Any) -> dict[str, Any]:
    """The row of a state as it is, if it is one.

    Raises:
        ValueError: If it is none.
    """
    row = StateRow.model_validate(plain)
    if not all(isinstance(row.job.get("train", {}).get(name), str) for name in DATA):
        raise ValueError("job.train names its lessons")
    Job.model_validate(row.job | {"train": row.job["train"] | dict.fromkeys(DATA, ())})
    kept: dict[str, Any] = plain
    return kept


def row_of(key: str, store: Store) -> dict[str, Any] | None:
    """The row of a state, or ``None``; one that holds something else is damaged."""
    found: dict[str, Any] | None = store.get("states", key, checked)
    return found


def mend(train: Training, row: dict[str, Any], store: Store) -> None:
    """Write the lessons of a state's row anew, where they are lost or damaged: weights are rebuilt from them."""
    for name in DATA:
        if not store.readonly and not store.has("lessons", row["job"]["train"][name]):
            store.put_lesson(train.written[name])


def write(job: Job, store: Store) -> dict[str, Any]:
    """What a row keeps of the job that made its state; the lessons are put into the store."""
    assert job.train is not None, "a state without training has no lineage"
    kept = job.model_dump(mode="json", exclude={"exams": True, "blob": True, "train": set(DATA)})
    kept["train"] |= {name: store.put_lesson(job.train.written[name]) for name in DATA}
    return kept


def read(row: Any, store: Store) -> Job:
    """The job that made the state of a row.

    Raises:
        StoreError: If this store does not hold its lessons.
    """
    kept = row["job"]
    train = kept["train"] | {name: store.lesson(kept["train"][name]) for name in DATA}
    return Job.model_validate(kept | {"train": train})
