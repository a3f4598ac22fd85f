"""``Row``: what one run (one teacher, one seed) leaves behind, and all that a board is computed from.

A row is JSON without clocks, hosts or paths, so that the same run gives the same bytes. It is validated when written
and when read: a count that does not add up is refused, with the field that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import not_
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from dataenv.attempts import ONCE, Attempts
from dataenv.environment.steps import StepRow
from dataenv.episode.profiles import SkillProfile
from dataenv.leaderboard.one_board import OWN, check_one_board
from dataenv.leaderboard.pictures import ShownPicture
from dataenv.lessons.leaks import Leaks
from dataenv.validation import Count, Money, RowPart, Text
from tasks.records import absent, canonical_json

SCHEMA = 1
"""Version of the row; readers refuse what they do not know."""


Name = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
Bits = Annotated[str, StringConstraints(pattern=r"\A[01]*\z")]


class Spent(RowPart):
    """The purse of a run.

    Attributes:
        total: Student tokens it had; forward counts 1, forward and backward 3.
        spent: Student tokens it used.
        training: Of these, on lessons.
        probes: Of these, on probes and on training inside forks.
        examples: Examples it was taught.
        prior: Student tokens its teacher used before ``reset``.
        teacher_tokens: Tokens its teacher spent on language models, prompts and replies together.
        money: What those cost, in the currency of the chat's prices.
    """

    total: Count
    spent: Count
    training: Count
    probes: Count
    examples: Count
    prior: Count
    teacher_tokens: Count = 0
    money: Money = 0.0

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.training + self.probes != self.spent:
            raise ValueError(f"training + probes is {self.training + self.probes}, but spent is {self.spent}")
        if self.spent > self.total:
            raise ValueError(f"spent is {self.spent}, more than the purse, {self.total}")
        return self


@lru_cache(maxsize=8192)  # a report asks for the same exams again and again
def _points(correct: str, attempts: Attempts) -> tuple[int, ...]:
    """What each problem counts, from 0 to ``attempts.out_of``; the answers to one stand side by side."""
    each = attempts.samples
    return tuple(attempts.worth(correct.count("1", at, at + each)) for at in range(0, len(correct), each))


def _require_answers(exam: TestExam | TransferExam, problems: int, told: str) -> None:
    """Refuse an exam that holds more or fewer answers than its problems have."""
    answers = problems * exam.attempts.samples
    if len(exam.correct) != answers:
        each = f", answered {exam.attempts.samples} times" if exam.attempts.samples > 1 else ""
        raise ValueError(f"correct has {len(exam.correct)} items and {told} {problems}{each}")
    if exam.grader_errors > answers:
        raise ValueError("grader_errors is larger than the number of items")
    if exam.unasked * exam.attempts.samples > exam.correct.count("0"):
        raise ValueError("unasked is larger than the number of items that are not right")


class ExamPart(RowPart):
    """A part of the test exam with a name: ``of`` has a 1 for each problem that is of it, in exam order."""

    name: Name
    of: Bits


class TestExam(RowPart):
    """The test exam of the selected state: one character an answer, grouped by skill in the order of ``skills``.

    ``n`` counts problems, and ``by_skill`` points: right answers, unless ``attempts`` says that a problem is answered
    several times. ``lenient`` is right if only the form of the answer is forgiven; ``None`` where the task does not
    say. On ``grader_errors`` answers the checker failed; they count as not right. ``unasked`` counts the problems that
    the student could not read; they are among those that are not right. ``parts`` have a count of their own each.
    ``part_counts`` has, of each kind of part that the task counts apart, how many are right and how many there are.
    """

    __test__ = False  # not a test class, whatever its name tells pytest

    correct: Bits
    n: tuple[Count, ...]
    by_skill: tuple[Count, ...]
    grader_errors: Count = 0
    lenient: Bits | None = None
    attempts: Attempts = Field(default=ONCE, exclude_if=ONCE.__eq__)
    unasked: Count = Field(default=0, exclude_if=not_)
    parts: tuple[ExamPart, ...] = Field(default=(), exclude_if=not_)
    part_counts: dict[Name, tuple[Count, Count]] = Field(default_factory=dict, exclude_if=not_)

    @property
    def by_part(self) -> dict[str, tuple[int, int]]:
        """Points of each part, and what they would be if all were right."""
        points = self.points
        held = {part.name: [k for k, of in zip(points, part.of, strict=True) if of == "1"] for part in self.parts}
        return {name: (sum(some), len(some) * self.attempts.out_of) for name, some in held.items()}

    @property
    def points(self) -> tuple[int, ...]:
        """What each problem counts, from 0 to ``attempts.out_of``."""
        return _points(self.correct, self.attempts)

    @property
    def forgiven(self) -> tuple[int, int] | None:
        """Points if only the form is forgiven, and what all would be; ``None`` without ``lenient``."""
        if self.lenient is None:
            return None
        points = _points(self.lenient, self.attempts)
        return sum(points), len(points) * self.attempts.out_of

    @property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Points of each skill, and what they would be if all were right."""
        return tuple((k, n * self.attempts.out_of) for k, n in zip(self.by_skill, self.n, strict=True))

    @model_validator(mode="after")
    def _forgives(self) -> Self:
        if self.lenient is None:
            return self
        if len(self.lenient) != len(self.correct):
            raise ValueError(f"lenient has {len(self.lenient)} items and correct has {len(self.correct)}")
        if any(strict > forgiven for strict, forgiven in zip(self.correct, self.lenient, strict=True)):
            raise ValueError("lenient is 0 for an item that correct has as 1; what is right is right leniently too")
        return self

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        _require_answers(self, sum(self.n), "n sums to")
        if len(self.by_skill) != len(self.n):
            raise ValueError(f"by_skill has {len(self.by_skill)} skills and n has {len(self.n)}")
        start, points = 0, self.points
        for skill, (n, k) in enumerate(zip(self.n, self.by_skill, strict=True)):
            if sum(points[start : start + n]) != k:
                raise ValueError(f"by_skill[{skill}] is {k}, but correct holds another count for that skill")
            start += n
        for part in self.parts:
            if len(part.of) != len(points) or "1" not in part.of:
                raise ValueError(f"parts has {part.name!r}, which must say of {len(points)} problems, of one at least")
        if len({part.name for part in self.parts}) < len(self.parts):
            raise ValueError("parts names a part twice")
        return self


class Suite(RowPart):
    """One of several suites of the transfer exam, and how many items it asks."""

    name: Name
    n: Count


@lru_cache(maxsize=8192)
def _opened(correct: str, n: tuple[int, ...], attempts: Attempts) -> TestExam:
    """An exam along a run, with its counts by skill."""
    points = _points(correct, attempts)
    by_skill = tuple(sum(points[i:j]) for i, j in pairwise(accumulate(n, initial=0)))
    return TestExam(correct=correct, n=n, by_skill=by_skill, attempts=attempts)


class TransferExam(RowPart):
    """The transfer exam (out of distribution) of the selected state: one character an answer; ``n`` counts problems.

    ``grader_errors``, ``unasked`` and ``part_counts`` are as in test. Where it holds several suites, the answers to the
    problems of each stand together, in the order of ``suites``.
    """

    correct: Bits
    n: Count
    attempts: Attempts = Field(default=ONCE, exclude_if=ONCE.__eq__)
    grader_errors: Count = Field(default=0, exclude_if=not_)
    unasked: Count = Field(default=0, exclude_if=not_)
    suites: tuple[Suite, ...] = Field(default=(), exclude_if=not_)
    part_counts: dict[Name, tuple[Count, Count]] = Field(default_factory=dict, exclude_if=not_)

    @property
    def count(self) -> tuple[int, int]:
        """Points, and what they would be if all were right."""
        return sum(_points(self.correct, self.attempts)), self.n * self.attempts.out_of

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        _require_answers(self, self.n, "n is")
        if self.suites and sum(suite.n for suite in self.suites) != self.n:
            raise ValueError(f"suites hold {sum(suite.n for suite in self.suites)} items and n is {self.n}")
        if len({suite.name for suite in self.suites}) < len(self.suites):
            raise ValueError("suites names a suite twice")
        return self

    @property
    def by_suite(self) -> dict[str, tuple[int, int]]:
        """Points of each suite that has a name, and what they would be if all were right."""
        ends = accumulate((suite.n for suite in self.suites), initial=0)
        points, parts = _points(self.correct, self.attempts), zip(self.suites, pairwise(ends), strict=True)
        return {suite.name: (sum(points[i:j]), suite.n * self.attempts.out_of) for suite, (i, j) in parts}


class CurvePoint(RowPart):
    """The test exam of the student after a step: one character an answer, as in ``TestExam``."""

    step: Count
    correct: Bits


class ExamCurve(RowPart):
    """Test exams along a run, opened by the board when the run had ended: its primary outcome is the area under them.

    ``purse`` is the end of the axis in student tokens. ``points`` begin with the untaught student.
    """

    purse: Annotated[Count, Field(ge=1)]
    points: tuple[CurvePoint, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        steps = [point.step for point in self.points]
        if steps[0] != 0 or any(after <= before for before, after in pairwise(steps)):
            raise ValueError("points begin with step 0, the untaught student, and their steps rise")
        return self


class Taught(RowPart):
    """One example of a lesson, for a person to read."""

    prompt: Text
    response: Text
    skills: tuple[Text, ...] = ()
    pictures: tuple[ShownPicture, ...] = Field(default=(), exclude_if=not_)


class Lesson(RowPart):
    """The first few examples that a step taught."""

    step: Count
    examples: tuple[Taught, ...]


class Mistake(RowPart):
    """A feedback problem that the student of a step got wrong.

    ``failing`` is the first part of the response that is wrong, where the task knows parts: of a program, the call.
    """

    step: Count
    skill: Text
    prompt: Text
    response: Text
    answer: Text
    failing: Text = Field(default="", exclude_if=not_)
    pictures: tuple[ShownPicture, ...] = Field(default=(), exclude_if=not_)


class Tuned(RowPart):
    """The learning rate that a board chose for a teacher.

    ``setting_digest`` is that of the Setting before, which all of the board's teachers share.
    """

    rate: float = Field(gt=0, le=1)
    setting_digest: Name


class Row(RowPart):
    """One run. ``selected`` indexes ``steps``; ``test`` is ``None`` only where the run failed.

    ``asked`` counts the requests to language models by outcome (``docs/chat.md``), and ``yields`` the stages of what
    such a teacher wrote. ``profiles`` are the missing-skill profiles that it made. ``rebuilt`` says so where a service
    trained the student, which would give other bits another time; else it is ``None``.

    Raises:
        pydantic.ValidationError: On an unknown field, a count that does not add up, or NaN.
    """

    version: Literal[1] = Field(alias="schema")
    board: Name
    teacher: Name
    registered: Text = ""
    teacher_args: dict[str, JsonValue] = {}
    role: Literal["teacher", "reference"]
    level: Name
    mask: tuple[Name, ...] = ()
    seed: Count
    simulated: bool
    rebuilt: Literal["not bit by bit"] | None = Field(default=None, exclude_if=absent)
    setting: dict[str, JsonValue]
    setting_digest: Name
    tuned: Tuned | None = Field(default=None, exclude_if=absent)
    commit: Text
    dirty: bool
    versions: dict[str, Text]
    hashes: dict[str, Text]
    skills: tuple[Name, ...] = Field(min_length=1)
    ended: Literal["spent", "mastered", "stopped", "failed"]
    error: Text | None = None
    budget: Spent
    # Left out where there are none: a row without any keeps its bytes.
    asked: dict[Text, Count] = Field(default={}, exclude_if=not_)
    yields: dict[Text, Count] = Field(default={}, exclude_if=not_)
    steps: tuple[StepRow, ...]
    selected: Count
    test: TestExam | None
    curve: ExamCurve | None = Field(default=None, exclude_if=absent)
    transfer: TransferExam | None = None
    lessons: tuple[Lesson, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    leaks: Leaks = Leaks()
    profiles: tuple[SkillProfile, ...] = Field(default=(), exclude_if=not_)

    @property
    def shown_level(self) -> str:
        """The level, and what of its observation the teacher was not shown."""
        return f"{self.level} without {', '.join(self.mask)}" if self.mask else self.level

    @property
    def finish(self) -> str:
        """What came after the teacher's last lesson, as JSON; empty where nothing did."""
        found = self.setting.get("finish")
        return canonical_json(found) if found else ""

    @property
    def own(self) -> str:
        """What of its Setting may be the teacher's own (its finish, its engine, a rate chosen for it), as JSON."""
        own = {name: self.setting.get(name) for name in OWN}
        return canonical_json(own | ({"rate": self.tuned.rate} if self.tuned else {}))

    @property
    def targets(self) -> tuple[str, ...]:
        """The skills that selection and test ask, in the order of ``skills``: all of them, unless the Setting says."""
        named = self.setting.get("targets")
        return tuple(s for s in self.skills if s in named) if isinstance(named, list | tuple) and named else self.skills

    @property
    def primary(self) -> Literal["final", "area"]:
        """The board's primary outcome, as the row carries it."""
        return "final" if self.curve is None else "area"

    @property
    def curve_exams(self) -> tuple[TestExam, ...]:
        """The exams of ``curve``, with their counts by skill; empty without one."""
        if self.curve is None or self.test is None:
            return ()
        return tuple(_opened(point.correct, self.test.n, self.test.attempts) for point in self.curve.points)

    @property
    def failed(self) -> bool:
        """Whether the run ended by a failure; it is then scored as the untaught student of its seed."""
        return self.ended == "failed"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.failed != (self.error is not None):
            raise ValueError("error is one sentence where ended is 'failed', and null elsewhere")
        if not self.failed and (self.test is None or not self.steps):
            raise ValueError("steps and test may be missing only where ended is 'failed'")
        if self.steps and self.selected >= len(self.steps):
            raise ValueError(f"selected is {self.selected}, but there are {len(self.steps)} steps")
        if len(set(self.skills)) != len(self.skills):
            raise ValueError("skills holds a name twice")
        if self.test is not None and not self._asks_targets(self.test.n):
            raise ValueError("test.n must hold one positive count a skill (0 where setting.targets leaves it out)")
        return self

    @model_validator(mode="after")
    def _curve_fits(self) -> Self:
        if self.curve is None:
            return self
        if self.test is None:
            raise ValueError("curve is there and test is null; a run that failed has neither")
        if self.curve.points[-1].step >= len(self.steps):
            raise ValueError(f"curve has a point of step {self.curve.points[-1].step}, and steps end before it")
        if any(len(point.correct) != len(self.test.correct) for point in self.curve.points):
            raise ValueError("curve.points[].correct must have as many answers as test.correct")
        return self

    def _asks_targets(self, n: Sequence[int]) -> bool:
        """Whether an exam has problems of each target and of no other skill."""
        targets = set(self.targets)
        return len(n) == len(self.skills) and all(
            (s in targets) == (m > 0) for s, m in zip(self.skills, n, strict=True)
        )

    @model_validator(mode="after")
    def _steps_in_order(self) -> Self:
        k, before, asked = len(self.skills), -1, (0, 0.0)
        for i, step in enumerate(self.steps):
            if step.step != i:
                raise ValueError(f"steps[{i}].step is {step.step}; steps are numbered from 0, the untaught student")
            if step.spent < before:
                raise ValueError(f"steps[{i}].spent is below the step before; it is cumulative")
            if step.teacher_tokens < asked[0] or step.money < asked[1]:
                raise ValueError(f"steps[{i}].teacher_tokens or money is below the step before; they are cumulative")
            lists = (
                step.selection.n,
                step.feedback.n,
                step.loss,
                self.skills if step.mixture is None else step.mixture,
            )
            if any(len(values) != k for values in lists) or not self._asks_targets(step.selection.n):
                raise ValueError(f"steps[{i}] must give selection (n > 0), feedback, loss and mixture for {k} skills")
            before, asked = step.spent, (step.teacher_tokens, step.money)
        if before > self.budget.spent:
            raise ValueError("budget.spent is below the spent of the last step")
        if asked[0] > self.budget.teacher_tokens or asked[1] > self.budget.money:
            raise ValueError("budget.teacher_tokens or budget.money is below that of the last step")
        return self


def read(rows: Iterable[Row | Mapping[str, Any]]) -> list[Row]:
    """Validate the rows of one board and put them in the order of teacher and seed.

    Raises:
        pydantic.ValidationError: If a row is not a row.
        ValueError: If there are none, or they cannot stand on one board.
    """
    read_rows = [row if isinstance(row, Row) else Row.model_validate(row) for row in rows]
    read_rows.sort(key=lambda row: (row.teacher, row.seed))
    check_one_board(read_rows)
    return read_rows
