"""What an episode was taught: its lessons, and counts of them, which grow by a lesson a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.columns import primary_skills
from tasks.records import Example

Lesson = Sequence[Example]


@dataclass(frozen=True)
class TaughtLessons:
    """What was taught so far.

    Attributes:
        skills: The task's.
        names: Digests of the lessons, in order.
        lessons: The lessons themselves.
        counts: Examples by primary skill, ``(skills,)``; those that name no skill of the task count nowhere.
        latest: The same of the last lesson alone.
        total: All examples.
    """

    skills: tuple[str, ...]
    names: tuple[str, ...]
    lessons: tuple[Lesson, ...]
    counts: npt.NDArray[np.int64]
    latest: npt.NDArray[np.int64]
    total: int

    @classmethod
    def nothing(cls, skills: tuple[str, ...]) -> TaughtLessons:
        """Of an episode that begins."""
        none = np.zeros(len(skills), np.int64)
        return cls(skills, (), (), none, none, 0)

    def at(self, names: Sequence[str], read: Callable[[str], Lesson]) -> TaughtLessons:
        """What was taught at a moment of this episode or of another one.

        Args:
            names: Digests of the lessons, in order. Where they are these here, nothing is read or counted again.
            read: Gives the lesson of a name.
        """
        if tuple(names) == self.names:
            return self
        found = self.nothing(self.skills)
        for name in names:
            found = found.plus(name, read(name))
        return found

    def plus(self, name: str, lesson: Lesson) -> TaughtLessons:
        """The same with one more lesson."""
        first = primary_skills(lesson)
        latest = np.array([first.get(skill, 0) for skill in self.skills], np.int64)
        names, lessons, total = (*self.names, name), (*self.lessons, lesson), self.total + len(lesson)
        return TaughtLessons(self.skills, names, lessons, self.counts + latest, latest, total)
