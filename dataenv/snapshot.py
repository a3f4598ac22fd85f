"""Snapshot: a moment of an episode as a small JSON record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from dataenv.budget.teacher import Cost
from dataenv.errors import ActionError, SnapshotError
from dataenv.validation import shown
from tasks.records import Record

Whole = Annotated[int, Field(ge=0)]
Ended = Literal["", "stopped", "mastered", "spent"]


class Snapshot(Record):
    """Everything an episode goes on from. Weights and lessons are in the store, under the names it holds.

    Attributes:
        setting: Digest of the Setting.
        level: Name of the level.
        seed: Decides data and orders.
        student_seed: Decides the untaught student.
        base: Key of the untaught state; empty until it is known.
        state: Key of the present state.
        lessons: Digests of the lessons taught, in order.
        taken: How far the pool has been walked, by skill.
        training: Student tokens spent on training.
        probes: Student tokens spent on probes and branches.
        teacher_spent: What was spent on language models.
        step: Steps made.
        ended: Why the episode is over, or empty.
        memory: The level's own memory, as JSON.
        finishing: Which phase of the Setting's finish is under way, counted from 1; 0 while the teacher teaches.
    """

    schema_version: Literal[1] = 1
    setting: str
    level: str
    seed: Whole
    student_seed: Whole
    base: str = ""
    state: str = ""
    lessons: tuple[str, ...] = ()
    taken: dict[str, int] = {}
    training: Whole = 0
    probes: Whole = 0
    teacher_spent: Cost = Cost()
    step: Whole = 0
    ended: Ended = ""
    memory: dict[str, Any] = {}
    finishing: Whole = 0

    @classmethod
    def read(cls, given: Any) -> Snapshot:
        """A Snapshot from itself, its JSON text or its JSON object.

        Raises:
            SnapshotError: If it is none of these.
        """
        if isinstance(given, cls):
            return given
        try:
            return cls.model_validate(json.loads(given) if isinstance(given, str | bytes) else given)
        except (ValidationError, ValueError, TypeError) as error:
            raise SnapshotError(
                f"options['snapshot'] is no snapshot; give env.snapshot() or its JSON ({error})"
            ) from None


def snapshot_in(options: Mapping[str, Any] | None) -> Any:
    """What the options of ``reset`` ask to go on from; ``None`` for a fresh episode.

    Raises:
        ActionError: If they hold anything else, which would be passed over in silence.
    """
    if not isinstance(options, Mapping | None):
        raise ActionError(f"options is {shown(options)}; give a dict with 'snapshot', or leave it out")
    strange = [name for name in options or {} if name != "snapshot"]
    if strange:
        raise ActionError(f"options has {shown(strange[0])}; 'snapshot' is all that reset takes")
    return (options or {}).get("snapshot")
