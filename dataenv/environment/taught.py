"""What an episode was taught: its lessons, and counts of them, which grow by a lesson a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.records import Example


@dataclass(frozen=True)
class TaughtLessons:
    """What was taught so far.

    Attributes:
        skills: The task's.
        lessons: In order.
        counts: Examples by primary skill, ``(skills,)``; those that name no skill of the task count nowhere.
        latest: The same of the last lesson alone.
        total: All examples.
    """

    skills: tuple[str, ...]
    lessons: tuple[tuple[Example, ...], ...]
    counts: npt.NDArray[np.int64]
    latest: npt.NDArray[np.int64]
    total: int

    @classmethod
    def of(cls, skills: tuple[str, ...], lessons: Iterable[tuple[Example, ...]]) -> TaughtLessons:
        """All lessons of an episode, each counted once."""
        nothing = np.zeros(len(skills), np.int64)
        found = cls(skills, (), nothing, nothing, 0)
        for lesson in lessons:
            found = found.plus(lesson)
        return found

    def plus(self, lesson: tuple[Example, ...]) -> TaughtLessons:
        """The same with one more lesson."""
        first = Counter([e.skills[0] for e in lesson if e.skills])
        latest = np.array([first[skill] for skill in self.skills], np.int64)
        lessons, total = (*self.lessons, lesson), self.total + len(lesson)
        return TaughtLessons(self.skills, lessons, self.counts + latest, latest, total)
