"""Scene: what an engine may look at and draw on while it makes one lesson."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dataenv.budget.teacher import TeacherPurse
from dataenv.execution.store import Store, Table
from dataenv.lessons.offer import Lessons
from dataenv.lessons.screen import as_example, passing, pool_of
from dataenv.setting import Setting
from tasks.records import Example, stream

if TYPE_CHECKING:
    from dataenv.snapshot import Snapshot


class Scene:
    """One lesson of one episode, as an engine sees it.

    It holds the task and the Setting. An engine that reads the task's sealed splits through them is cheating, which
    Python cannot prevent and a reader of its one file can see.

    Args:
        setting: Of the environment.
        snapshot: The moment before the lesson.
        lessons: Those before it.
        chats: Where replies of language models are kept; ``None`` for a place that is forgotten.
        teacher_purse: What pays for them; ``None`` for one without caps.
        yields: Counts that an engine adds to.

    Attributes:
        skills: The task's skills.
        lesson_size: Examples that a lesson is expected to hold.
        seed: Of the episode.
        rng: The generator of this lesson.
        taken: How far the pool has been walked, by skill. An engine that draws without replacement adds to it.
        yields: What became of what the engine asked for, stage by stage.
    """

    def __init__(
        self,
        setting: Setting,
        snapshot: Snapshot,
        lessons: Lessons = (),
        chats: Table | None = None,
        teacher_purse: TeacherPurse | None = None,
        yields: Counter[str] | None = None,
    ) -> None:
        self.setting, self.task, self.student = setting, setting.built_task, setting.built_student
        self.skills, self.lesson_size = self.task.skills, setting.lesson_size
        self.snapshot, self.lessons, self.seed = snapshot, lessons, snapshot.seed
        self.rng: np.random.Generator = stream(snapshot.seed, "engine", snapshot.step)
        self.taken = dict(snapshot.taken)
        self.chats = Store(None).table("chats") if chats is None else chats
        self.teacher_purse = teacher_purse or TeacherPurse()
        self.yields = Counter[str]() if yields is None else yields

    def pool(self) -> Sequence[Example]:
        """The task's public training examples that pass the screen.

        Raises:
            tasks.errors.UnsupportedError: If the task has none.
        """
        return pool_of(self.task, self.student)

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        """Fresh examples from the task's own generator: ``n``, or less those that would not pass the screen.

        Raises:
            tasks.errors.UnsupportedError: If the task has none.
        """
        return passing(self.task.generate(skill, n, self.rng, difficulty), self.task, self.student)

    def readable(self, examples: Sequence[Example]) -> list[bool]:
        """Whether the student can read each at all: its form, its length, its letters."""
        return [(e := as_example(o)) is not None and self.student.refuse(e) is None for o in examples]
