"""What is written down of each step of an episode; a board's row holds it too."""

from __future__ import annotations

from collections.abc import Sequence
from operator import not_
from typing import Annotated, Self

from pydantic import Field, model_validator

from dataenv.budget.teacher import Cost
from dataenv.environment.exams import Evaluation, Result
from dataenv.lessons.screen import Screened
from dataenv.snapshot import Ended, Snapshot
from dataenv.validation import LARGEST, Count, Money, RowPart, Text
from students.base import Practice
from tasks.records import absent


class Tally(RowPart):
    """Right answers and problems by primary skill, ``(skills,)`` each."""

    correct: tuple[Count, ...]
    n: tuple[Count, ...]

    @classmethod
    def of(cls, result: Result) -> Tally:
        """The counts of a graded exam."""
        return cls(correct=tuple(result.correct.tolist()), n=tuple(result.n.tolist()))

    @model_validator(mode="after")
    def _within(self) -> Self:
        if len(self.correct) != len(self.n):
            raise ValueError(f"correct has {len(self.correct)} skills and n has {len(self.n)}; give one count a skill")
        if any(k > n for k, n in zip(self.correct, self.n, strict=True)):
            raise ValueError("correct is larger than n for some skill; count each item once")
        return self


class StepRow(RowPart):
    """The student after a step, as a row holds it.

    Attributes:
        step: 0 for the untaught student.
        spent: Student tokens spent so far.
        teacher_tokens: Tokens that the teacher spent on language models so far, prompts and replies together.
        money: What those cost, in the currency of the chat's prices.
        state: Key of the student's state.
        reward: Gain on the selection split, in [-1, 1].
        selection: Counts on the selection split.
        feedback: Counts on the feedback split.
        loss: On the gold answers of the feedback problems, by skill, ``(k,)``, nats per token.
        mixture: Shares of the kept examples by primary skill, ``(k,)``; ``None`` where nothing was trained.
        offered: Examples offered.
        kept: Examples that passed the screen.
        rejected: Counts by reason.
        judged: Kept examples by the verdict of the task's judge: right, wrong, unknown.
        lesson: Digest of the kept examples, where they were trained; the store holds them.
        practice: Counts of the student's own answers, where it practised on them.
        grader_errors: Feedback and selection answers on which the checker failed; they count as not right.
    """

    step: Count
    spent: Count
    teacher_tokens: Count = 0
    money: Money = 0.0
    state: Text
    reward: Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
    selection: Tally
    feedback: Tally
    loss: tuple[Annotated[float, Field(ge=-LARGEST, le=LARGEST)], ...]
    mixture: tuple[Annotated[float, Field(ge=0, le=1 + 1e-6)], ...] | None
    offered: Count
    kept: Count
    rejected: dict[Text, Count]
    judged: dict[Text, Count] = {}
    lesson: Text | None = None
    practice: Practice | None = Field(default=None, exclude_if=absent)
    grader_errors: Count = Field(default=0, exclude_if=not_)

    @model_validator(mode="after")
    def _conserved(self) -> Self:
        dropped = sum(self.rejected.values())
        if self.offered != self.kept + dropped:
            raise ValueError(f"offered is {self.offered}, but kept {self.kept} + rejected {dropped} differ from it")
        return self


class StepRecord(StepRow):
    """What an episode's history holds of a step; the first one is the untaught student's.

    Attributes:
        ended: Why the episode ended with this step, or empty. A row says it once, of the whole run.
    """

    ended: Ended


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
        practice: Counts of the student's own answers.
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
        grader_errors=standing.grader_errors,
    )
