"""Snapshot: a moment of an episode as a small JSON record."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from dataenv import lineage
from dataenv.budget.teacher import Cost
from dataenv.errors import SnapshotError
from dataenv.exams import Result
from dataenv.jobs import Training
from dataenv.setting import Setting
from dataenv.store import Store
from dataenv.tuition import paid_for
from students.base import Practice, Trained
from tasks.records import Example, Record, absent

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


def lessons_of(
    snapshot: Snapshot, setting: Setting, level: str, store: Store, branch: bool
) -> list[tuple[Example, ...]]:
    """The lessons of an episode that goes on from a snapshot, if it may.

    Args:
        snapshot: As it was given.
        setting: Of the environment.
        level: Name of the environment's level.
        store: Holds the lessons, and knows how the student came about.
        branch: Whether it spends another episode's purse; what its own snapshot says that it spent plays no part then.

    Raises:
        SnapshotError: If it does not fit, or claims to have spent or taught less than its student was trained on.
        StoreError: If its lessons are not in this store.
    """
    if snapshot.setting != setting.digest:
        raise SnapshotError(
            "snapshot.setting differs from this environment's; make the environment with equal arguments"
        )
    if snapshot.level != level:
        raise SnapshotError(f"snapshot.level is {snapshot.level!r} and this one's is {level!r}; make one of that level")
    if snapshot.training + snapshot.probes > setting.budget.student_tokens:
        raise SnapshotError("snapshot.training + snapshot.probes is more than the purse; give env.snapshot() as it was")
    lessons = [store.lesson(name) for name in snapshot.lessons]
    if not branch:
        _check_paid(snapshot, setting, sum(map(len, lessons)), _lineage(snapshot, store))
    return lessons


def _check_paid(snapshot: Snapshot, setting: Setting, taught: int, lineage: list[tuple[Training, Trained]]) -> None:
    """What the student was trained on is the least that was spent and taught."""
    paid = sum(paid_for(training, trained, setting) for training, trained in lineage)
    if snapshot.training + snapshot.probes < paid:
        raise SnapshotError(
            f"snapshot.training + snapshot.probes is less than the {paid} student tokens that its student was trained "
            "with; give env.snapshot() as it was"
        )
    sizes = {kind: [len(t.lesson) for t, _ in lineage if t.recipe.data == kind] for kind in ("lesson", "all")}
    if taught < max(sum(sizes["lesson"]), *sizes["all"], 0):
        raise SnapshotError("snapshot.lessons leaves out what its student was taught; give env.snapshot() as it was")


def _lineage(snapshot: Snapshot, store: Store) -> list[tuple[Training, Trained]]:
    """The trainings between the untaught student and the present one, as far as the store knows them; newest first."""
    found, key = [], snapshot.state
    while key != snapshot.base and (row := store.get("states", key)) is not None:
        job = lineage.read(row, store)
        if job.train is not None:
            found.append((job.train, Trained.model_validate(row["trained"])))
        key = job.parent
    return found


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
        teacher_tokens: Tokens that the teacher spent on language models so far, prompts and replies together.
        money: What those cost, in the currency of the chat's prices.
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
        practice: What came of the student's own answers, where it practised on them.
    """

    step: int
    spent: int
    teacher_tokens: int
    money: float
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
    practice: Practice | None = Field(default=None, exclude_if=absent)
