"""What is written down of each step of an episode."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from dataenv.budget.teacher import Cost
from dataenv.environment.exams import Evaluation, Result
from dataenv.lessons.screen import Screened
from dataenv.snapshot import Ended, Snapshot
from students.base import Practice
from tasks.records import Record, absent


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


def record_of(
    snapshot: Snapshot,
    standing: Evaluation,
    screened: Screened,
    *,
    reward: float,
    counts: Sequence[int] | None,
    spent: int,
    teacher: Cost,
    practice: Practice | None,
) -> StepRecord:
    """What is written down of the step that led to a moment.

    Args:
        snapshot: The moment.
        standing: Of the student there.
        screened: What was offered and kept.
        reward: Of the step.
        counts: Kept examples by primary skill, ``(skills,)``; ``None`` where nothing was trained.
        spent: Student tokens so far.
        teacher: What was spent on language models so far.
        practice: What came of the student's own answers.
    """
    named = sum(counts) if counts else 0
    return StepRecord(
        step=snapshot.step,
        spent=spent,
        teacher_tokens=teacher.tokens,
        money=teacher.money,
        state=snapshot.state,
        reward=reward,
        selection=Tally.of(standing.selection),
        feedback=Tally.of(standing.feedback),
        loss=tuple(standing.loss.tolist()),
        mixture=tuple(c / named for c in counts) if counts and named else None,
        offered=screened.offered,
        kept=len(screened.kept),
        rejected=screened.rejected,
        judged=screened.judged,
        lesson=snapshot.lessons[-1] if counts is not None else None,
        ended=snapshot.ended,
        practice=practice,
    )
