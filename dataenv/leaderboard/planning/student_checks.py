"""What ``validate`` asks of a student: whether it can read all that it will be asked, and write what is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from dataenv.leaderboard.planning.measure import sample
from dataenv.setting import Setting
from students.base import Student
from tasks.base import Task
from tasks.records import SPLITS, Example, Problem

SAMPLED = 25
"""Problems a split that the checker is asked of, and examples a source that are looked at."""
SHOWN = 40
"""Characters of a text that a sentence shows."""


@runtime_checkable
class Spoken(Protocol):
    """A student that is spoken to in a format of its own."""

    def written(self, response: str) -> str:
        """A response as it would be read if the student wrote it."""

    @property
    def cautions(self) -> list[str]:
        """What a person should know of the format, a sentence each."""


def cautions(setting: Setting) -> list[str]:
    """What is sound and may yet not be meant, a sentence each."""
    student = setting.built_student
    return [f"setting.{caution}" for caution in student.cautions] if isinstance(student, Spoken) else []


def golds(setting: Setting) -> Iterator[str]:
    """The checker accepts the gold answers, and the student can write them and has room to."""
    student, room = setting.built_student, setting.decoding.max_tokens
    for split in SPLITS:
        problems = [problem for problem in setting.exam_items(split) if problem.answer]
        for problem in spread(problems):
            amiss = _ungraded(setting.built_task, problem, problem.answer)
            if amiss:
                yield f"setting.task: the checker {amiss} on the gold answer of {problem.id!r}; mend the task"
                break
        longest = max((_length(student, problem) for problem in problems), default=0)
        if longest > room:
            yield (
                f"setting.decoding.max_tokens is {room} and a gold answer of {split} has {longest} tokens; "
                f"give at least {longest}"
            )
        yield from _unwritten(setting, problems, split)


def _unwritten(setting: Setting, problems: Sequence[Problem], split: str) -> Iterator[str]:
    """Gold answers that the student's tokens cannot hold, so that no answer of its can be right."""
    student = setting.built_student
    if not isinstance(student, Spoken):
        return
    said = ((problem, student.written(problem.answer)) for problem in problems)
    changed = [(problem, text) for problem, text in said if text != problem.answer]
    wrong = [(problem, text) for problem, text in changed if _ungraded(setting.built_task, problem, text)]
    if wrong:
        problem, text = wrong[0]
        yield (
            f"setting.student: the tokens of student {setting.student!r} change {len(wrong)} of {len(problems)} gold "
            f"answers of {split}, such as {problem.answer[:SHOWN]!r} to {text[:SHOWN]!r}, which the checker says is "
            "wrong; give another model or another checker"
        )


def _ungraded(task: Task, problem: Problem, said: str) -> str:
    """How the checker fails on an answer that should be right; empty if it accepts the answer."""
    try:
        grade = task.grade(problem, said)
    except Exception as error:  # the task's own code, which must not raise: said, not hidden
        return f"raises {type(error).__name__}"
    return f"fails ({grade.error})" if grade.error is not None else "" if grade.correct else "says wrong"


def _length(student: Student, problem: Problem) -> int:
    """Tokens of a gold answer."""
    whole, asked = (Example(prompt=problem.prompt, response=text, media=problem.media) for text in (problem.answer, ""))
    return student.tokens(whole) - student.tokens(asked)


def spread(items: Sequence[Any]) -> list[Any]:
    """A few of the items, evenly from the first to the last."""
    return list(items[:: max(1, len(items) // SAMPLED)])


def fits(setting: Setting) -> Iterator[str]:
    """All problems, and some of the lessons and the warm start, can be read by the student."""
    student = setting.built_student
    warm = setting.warm_training(0)
    sources: dict[str, Sequence[Example]] = {
        "setting.warm_start": spread(warm.lesson) if warm else (),
        "setting.engine": spread(sample(setting, None, SAMPLED * len(setting.built_task.skills))),
    }
    for split in SPLITS:
        problems = setting.exam_items(split)
        sources[f"setting.items.{split}"] = [
            Example(prompt=p.prompt, response=p.answer, media=p.media) for p in problems
        ]
    for field, examples in sources.items():
        refused = [(example, why) for example in examples if (why := student.refuse(example)) is not None]
        if refused:
            example, why = refused[0]
            longest = max((student.tokens(example) for example, why in refused if why == "length"), default=0)
            size = f"; the longest has {longest} tokens" if longest else ""
            yield (
                f"{field}: student {setting.student!r} cannot read {len(refused)} of {len(examples)}, such as "
                f"{example.prompt[:SHOWN]!r} ({why}{size}); give setting.student_args that fit, or another student"
            )
