"""What is written down of each step of an episode."""

from __future__ import annotations

from pydantic import Field

from dataenv.environment.exams import Result
from dataenv.snapshot import Ended
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
