"""From the exams of a run to what its row says of them: the selected state, its score, its mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from dataenv.environment.env import TeachingEnv
from dataenv.environment.exams import Evaluation, exam_of, grade
from dataenv.environment.steps import StepRecord, StepRow, Tally
from dataenv.execution.jobs import Job, Outcome
from dataenv.leaderboard.accuracy import Floats
from dataenv.leaderboard.pictures import PictureList
from dataenv.setting import Setting
from tasks import media
from tasks.records import Problem

SHOWN_LESSON, SHOWN_MISTAKES = 6, 24


def score_of(tally: Tally) -> float:
    """Mean over skills of an exam's accuracy, in [0, 1]: what a state is selected by."""
    asked = [k / n for k, n in zip(tally.correct, tally.n, strict=True) if n]
    return sum(asked) / len(asked)


def on_purse(spent: Sequence[int] | Floats, values: Floats, purse: int) -> tuple[Floats, Floats]:
    """A learning curve on the common purse.

    Args:
        spent: Student tokens at each point, not falling.
        values: At those points.
        purse: Student tokens that the axis ends at.

    Returns:
        Spent share of the purse, rising from 0 to 1, and the values. The last one is carried forward to the full
        purse; what was spent beyond it is cut off (linear in between).
    """
    x, y = np.asarray(spent, np.float64) / max(purse, 1), np.asarray(values, np.float64)
    if x[0] > 0:  # probes before the first lesson: the student was the untaught one all along
        x, y = np.insert(x, 0, 0.0), np.insert(y, 0, y[0])
    end = float(np.interp(1.0, x, y))
    inside = x < 1
    return np.append(x[inside], 1.0), np.append(y[inside], end)


def area(spent: Sequence[int] | Floats, values: Floats, purse: int) -> float:
    """Area under ``on_purse`` by trapezoids: the mean value over the purse."""
    x, y = on_purse(spent, values, purse)
    return float(np.trapezoid(y, x))


def best_step(tallies: Sequence[Tally]) -> int:
    """The step whose selection score is the best; the earliest among equals."""
    return max(range(len(tallies)), key=lambda i: (score_of(tallies[i]), -i))


def worth_of(steps: Sequence[StepRow], primary: str, purse: int) -> float:
    """The primary outcome of a run on the selection split, in [0, 1]: the test split stays closed.

    Args:
        steps: Of the run, the untaught student's first.
        primary: ``final`` or ``area``; see ``Board.primary``.
        purse: Student tokens that ``area`` divides by.
    """
    scores = [score_of(step.selection) for step in steps]
    return area([step.spent for step in steps], np.array(scores), purse) if primary == "area" else max(scores)


def closing_job(setting: Setting, state: str) -> Job:
    """The test and transfer exams of one state: opened once a run."""
    exams = (exam_of(setting, "test"), exam_of(setting, "transfer"))
    return Job(student=setting.student_spec, parent=state, exams=exams)


def standing_job(setting: Setting, state: str) -> Job:
    """The feedback and selection exams of one state."""
    exams = (exam_of(setting, "feedback"), exam_of(setting, "selection"))
    return Job(student=setting.student_spec, parent=state, exams=exams)


def opened_steps(spent: Sequence[int], purse: int, parts: int) -> list[int]:
    """Steps whose students' test exams a learning curve is made of.

    Args:
        spent: Student tokens after each step, not falling; the untaught student's first.
        purse: What the parts divide.
        parts: Equal ones; at the beginning, and at the end of each, the nearest step, the earliest among equals.

    Returns:
        Rising; the first and the last step are always among them.
    """
    ends = [purse * i / parts for i in range(parts + 1)]
    nearest = {min(range(len(spent)), key=lambda i: (abs(spent[i] - end), i)) for end in ends}
    return sorted({0, *nearest, len(spent) - 1})


def test_job(setting: Setting, state: str) -> Job:
    """The test exam of one state."""
    return Job(student=setting.student_spec, parent=state, exams=(exam_of(setting, "test"),))


def graded_point(setting: Setting, step: int, outcome: Outcome) -> dict[str, Any]:
    """One of the points of a row's ``curve``."""
    return {"step": step, "correct": _bits(grade(setting, "test", outcome.answers["test"]).answers)}


def graded_exams(setting: Setting, outcome: Outcome) -> dict[str, Any]:
    """The fields ``test`` and ``transfer`` of a row."""
    test = grade(setting, "test", outcome.answers["test"])
    transfer = grade(setting, "transfer", outcome.answers["transfer"])
    held = {"attempts": setting.exam.model_dump(mode="json")}
    suites = Counter(problem.suite for problem in setting.exam_items("transfer") if problem.suite)
    return {
        "test": held
        | {
            "correct": _bits(test.answers),
            "n": (test.n // setting.exam.out_of).tolist(),
            "by_skill": test.correct.tolist(),
            "grader_errors": test.grader_errors,
            "lenient": None if test.lenient is None else _bits(test.lenient),
            "unasked": test.unasked,
            "parts": _parts(setting.exam_items("test")),
            "part_counts": test.part_counts,
        },
        "transfer": held
        | {
            "correct": _bits(transfer.answers),
            "n": len(transfer.points),
            "grader_errors": transfer.grader_errors,
            "unasked": transfer.unasked,
            "suites": [{"name": name, "n": n} for name, n in suites.items()],
            "part_counts": transfer.part_counts,
        },
    }


def _parts(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """The parts of the test exam that have a name, and which problems are of each."""
    names = sorted({problem.suite for problem in problems if problem.suite})
    return [{"name": name, "of": _bits([problem.suite == name for problem in problems])} for name in names]


def _bits(flags: Sequence[bool]) -> str:
    return "".join("01"[flag] for flag in flags)


def lessons_of_steps(env: TeachingEnv, steps: tuple[StepRecord, ...]) -> list[dict[str, Any]]:
    """The first examples of each lesson of a run, to read."""
    out, room, store = [], PictureList(), env.runner.store
    for step in steps:
        if step.lesson is not None:
            examples = store.lesson(step.lesson)[:SHOWN_LESSON]
            shown = [
                e.model_dump(mode="json", include={"prompt", "response", "skills"})
                | room.of([store.blobs.get(name) for name in e.media if store.blobs.has(name)])
                for e in examples
            ]
            out.append({"step": step.step, "examples": shown})
    return out


def mistakes_of(standing: Evaluation, step: int) -> list[dict[str, Any]]:
    """Feedback mistakes of a state to read, the first of every skill before the second of any."""
    rank: dict[str, int] = {}
    keyed: list[tuple[int, int, dict[str, str]]] = []
    for error in standing.errors:
        rank[error["skill"]] = rank.get(error["skill"], 0) + 1
        keyed.append((rank[error["skill"]], len(keyed), error))
    first = [error for _, _, error in sorted(keyed, key=lambda x: x[:2])[:SHOWN_MISTAKES]]
    failing, room = standing.feedback.failing, PictureList()
    return [
        {"step": step}
        | {name: text for name, text in error.items() if name not in ("id", "media")}
        | room.of([media.picture(name) for name in error.get("media", "").split()])
        | ({"failing": failing[error["id"]]} if error["id"] in failing else {})
        for error in first
    ]
