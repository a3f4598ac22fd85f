"""Snapshot: a moment of an episode as a small JSON record; and what is written down of each step."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from dataenv.errors import SnapshotError
from dataenv.exams import Result
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
        step: Steps made.
        ended: Why the episode is over, or empty.
        memory: The level's own memory, as JSON.
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
    step: Whole = 0
    ended: Ended = ""
    memory: dict[str, Any] = {}

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


class Tally(Record):
    """Right answers and problems by primary skill, ``(skills,)`` each."""

    correct: tuple[int, ...]
    n: tuple[int, ...]

    @classmethod
    def of(cls, result: Result) -> Tally:
        """The counts of a graded exam."""
        return cls(correct=tuple(result.correct.tolist()), n=tuple(result.n.tolist()))


class StepRecord(Record):
    """What is written down of a step; the first one is the untaught student's.

    Attributes:
        step: 0 for the untaught student.
        spent: Student tokens spent so far.
        state: Key of the student's state.
        reward: Gain on the selection split, in [-1, 1].
        selection: Counts on the selection split.
        feedback: Counts on the feedback split.
        loss: Feedback loss by skill, nats per token.
        mixture: Shares of the kept examples by primary skill; ``None`` where nothing was trained.
        offered: Examples offered.
        kept: Examples that passed the screen.
        rejected: Counts by reason.
        judged: Kept examples by the judge's verdict.
        lesson: Digest of the kept examples, where they were trained.
        ended: Why the episode ended with this step, or empty.
    """

    step: int
    spent: int
    state: str
    reward: float
    selection: Tally
    feedback: Tally
    loss: tuple[float, ...]
    mixture: tuple[float, ...] | None
    offered: int
    kept: int
    rejected: dict[str, int]
    judged: dict[str, int]
    lesson: str | None
    ended: Ended
