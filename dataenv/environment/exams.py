"""Exams: which problems a split asks, and what answers to them are worth. Grading never touches the student."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dataenv.attempts import ONCE, Attempts
from dataenv.execution.jobs import Answers, Exam, Outcome, media_of
from dataenv.levels.base import EXAM as SUBSKILLS
from dataenv.levels.base import View
from dataenv.setting import Setting
from tasks.columns import different
from tasks.records import Example, Grade, Problem, Split


@dataclass(frozen=True)
class Result:
    """An exam that was graded.

    Attributes:
        answers: One a response, the responses to a problem side by side: right or not.
        points: One a problem, in exam order, from 0 to ``attempts.out_of``.
        correct: Points by primary skill, ``(skills,)``: right answers, where a problem is answered once.
        n: What ``correct`` would be if all were right, ``(skills,)``: the problems, where they are answered once.
        grader_errors: Responses on which the *checker* failed; they count as not right, and are shown.
        lenient: One a response: right if only the form is forgiven; ``None`` where the task does not say of each.
        attempts: How the exam was held.
        unasked: Problems that were not asked, for the student cannot read them: longer than its context, or with marks
            of its own. They count as not right, and are shown.
        part_counts: Of each of the task's ``part_kinds``, how many parts of all responses are right, and how many there
            are.
        failing: The first part that is wrong (``Grade.parts``), by the problem's id, where the task knows parts. It may
            name hidden inputs, so no teacher sees it.
    """

    answers: tuple[bool, ...]
    points: tuple[int, ...]
    correct: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]
    grader_errors: int
    lenient: tuple[bool, ...] | None = None
    attempts: Attempts = ONCE
    unasked: int = 0
    part_counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)

    @property
    def accuracy(self) -> npt.NDArray[np.float64]:
        """By skill, in [0, 1]; 0 where a skill has no problem."""
        return np.asarray(self.correct / np.maximum(self.n, 1), np.float64)

    @property
    def wrong(self) -> npt.NDArray[np.int64]:
        """Problems by primary skill that were not answered rightly, ``(skills,)``."""
        return self.n - self.correct

    @property
    def score(self) -> float:
        """The mean over the skills that have problems, in [0, 1]; it is k/n where every skill has equally many."""
        asked = self.n > 0
        return float(self.accuracy[asked].mean()) if asked.any() else 0.0


def exam_of(setting: Setting, split: Split) -> Exam:
    """The exam of a split. Only the feedback exam measures losses too."""
    problems = setting.exam_items(split)
    golds = tuple(p.answer for p in problems) if split == "feedback" else None
    prompts = tuple(p.prompt for p in problems)
    return Exam(
        name=split,
        prompts=prompts,
        media=media_of(problems),
        golds=golds,
        decoding=setting.decoding,
        samples=setting.attempts(split).samples,
        engine=setting.engine_of_answers,
    )


def grade(setting: Setting, split: Split, answers: Answers) -> Result:
    """Grade the answers to a split's exam."""
    task, attempts, problems = setting.built_task, setting.attempts(split), setting.exam_items(split)
    rows, said, each = setting.exam_rows(split), answers.responses, attempts.samples
    asked = list(zip(problems if each == 1 else [p for p in problems for _ in range(each)], said, strict=True))
    verdicts = list(task.grades(asked))
    right = [verdict.correct for verdict in verdicts]
    worth = np.array([attempts.worth(k) for k in range(each + 1)], np.int64)
    points = worth[np.array(right, np.int64).reshape(len(problems), each).sum(1)]
    silent = () if all(said) else (i for i in range(len(problems)) if not any(said[i * each : (i + 1) * each]))
    unasked = sum(_unreadable(setting, problems[i]) for i in silent)
    counted = rows >= 0  # a transfer problem may need skills that the catalogue has no row for
    n = np.bincount(rows[counted], minlength=len(task.skills)) * attempts.out_of
    correct = np.zeros(len(task.skills), np.int64)
    np.add.at(correct, rows[counted], points[counted])
    failures, forgiven = 0, None
    few = different(verdicts)
    if any(verdict.error is not None or verdict.lenient is not None for verdict in few):
        failures = sum(verdict.error is not None for verdict in verdicts)
        lenient = tuple(verdict.lenient for verdict in verdicts if verdict.lenient is not None)
        forgiven = lenient if len(lenient) == len(verdicts) else None
    failing = _failing(asked, verdicts) if any(verdict.parts for verdict in few) else {}
    marks, counted_parts = (tuple(right), tuple(points.tolist())), _count_parts(task.part_kinds, verdicts)
    return Result(*marks, correct, n, failures, forgiven, attempts, unasked, counted_parts, failing)


def _count_parts(kinds: Sequence[str], verdicts: Sequence[Grade]) -> dict[str, tuple[int, int]]:
    """Of each kind of part, how many are right, and how many there are."""
    if not kinds:
        return {}
    found = Counter((name.split(" ")[0], so) for verdict in verdicts for name, so in (verdict.parts or {}).items())
    return {kind: (found[kind, True], found[kind, True] + found[kind, False]) for kind in kinds}


def _failing(asked: Sequence[tuple[Problem, str]], verdicts: Sequence[Grade]) -> dict[str, str]:
    """The first part that is wrong, by the problem's id."""
    wrong = (
        (p.id, next((name for name, so in (v.parts or {}).items() if not so), ""))
        for (p, _), v in zip(asked, verdicts, strict=True)
    )
    return {name: part for name, part in wrong if part}


def _unreadable(setting: Setting, problem: Problem) -> bool:
    """Whether a student that answered nothing was not asked at all."""
    asked = Example(prompt=problem.prompt, response="", media=problem.media)
    return setting.built_student.refuse(asked) is not None


@dataclass(frozen=True)
class Evaluation:
    """How the student stands after a job: both exams graded, losses ``(skills,)`` and mistakes from feedback.

    ``answers`` are those to the level's own exam, where it has one.
    """

    feedback: Result
    selection: Result
    loss: npt.NDArray[np.float64]
    errors: tuple[dict[str, str], ...]
    answers: tuple[str, ...] = ()

    @classmethod
    def of(cls, setting: Setting, outcome: Outcome) -> Evaluation:
        """Grade the feedback and selection exams of an outcome."""
        answers = outcome.answers["feedback"]
        feedback = grade(setting, "feedback", answers)
        selection = grade(setting, "selection", outcome.answers["selection"])
        errors = _mistakes(setting, answers, feedback)
        own = outcome.answers.get(SUBSKILLS)
        return cls(feedback, selection, _loss_by_skill(setting, answers), errors, own.responses if own else ())

    @property
    def grader_errors(self) -> int:
        """Answers on which the checker failed."""
        return self.feedback.grader_errors + self.selection.grader_errors

    def view(self, counts: npt.NDArray[np.int64], budget: float) -> View:
        """What of it a teacher may see; of the selection split that is the score alone."""
        score, accuracy = self.selection.score, self.feedback.accuracy
        wrong = self.feedback.wrong
        return View(accuracy, self.loss, counts, wrong, score, budget, self.errors, answers=self.answers)


def _mistakes(setting: Setting, answers: Answers, result: Result) -> tuple[dict[str, str], ...]:
    """The feedback problems answered wrongly, the first of each skill: id, skill, prompt, response, answer.

    Where a problem shows pictures, ``media`` holds their digests with a space between.
    """
    how, shown, out = setting.shown, dict[str, int](), []
    most = how.characters
    for problem, response, right in zip(setting.exam_items("feedback"), answers.responses, result.answers, strict=True):
        skill = problem.skills[0]
        if not right and shown.get(skill, 0) < how.errors:
            shown[skill] = shown.get(skill, 0) + 1
            said = {"skill": skill, "prompt": problem.prompt, "response": response, "answer": problem.answer}
            if max(map(len, said.values())) > most:
                said = {name: cut(text, most) for name, text in said.items()}
            pictures = {"media": " ".join(problem.media)} if problem.media else {}
            out.append({"id": problem.id, **said, **pictures})
    return tuple(out)


def cut(text: str, most: int) -> str:
    """A text of at most ``most`` characters, 64 or more; one that is longer ends in a remark of how long it was."""
    if len(text) <= most:
        return text
    remark = f" [... cut, {len(text)} characters in all]"
    return text[: most - len(remark)] + remark


def _loss_by_skill(setting: Setting, answers: Answers) -> npt.NDArray[np.float64]:
    """Mean feedback loss of each skill, in nats per token; 0 where a skill has no problem."""
    assert answers.losses is not None, "the feedback exam measures losses"
    rows, k = setting.exam_rows("feedback"), len(setting.built_task.skills)
    return np.bincount(rows, answers.losses, k) / np.maximum(np.bincount(rows, minlength=k), 1)
