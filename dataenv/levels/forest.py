"""The forest of the skill-tree level: which subskills there are, how good the student is at them, and their data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dataenv.execution.jobs import Exam, media_of
from dataenv.lessons.engines import Request, blended, engine_of, split_counts
from dataenv.lessons.offer import Lessons, Offer
from dataenv.lessons.scene import Scene
from dataenv.levels.base import EXAM
from dataenv.setting import Setting
from tasks.records import Example, Problem, stream

_SEED = 0
Shares = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Forest:
    """The subskills of a Setting's task. A skill that the task does not divide is its own only subskill.

    Under an engine that divides no skill (the pool, a language model) every skill is one piece. Which subskill an
    example was made for is written behind its ``origin``, as in ``generator/2 columns``.

    Attributes:
        names: The subskills of each skill, in the order in which they are grown.
        sizes: How many each skill has, ``(k,)``.
        shape: ``(k, m)``: skills, and the most subskills that one has.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting, self._task, self._engine = setting, setting.built_task, engine_of(setting)
        self.skills = self._task.skills
        self.names = tuple(self._parts(skill) or (skill,) for skill in self.skills)
        self.sizes: Counts = np.array([len(names) for names in self.names])
        self.shape = (len(self.names), int(self.sizes.max()))
        self._whole = {skill: (i, 0) for i, skill in enumerate(self.skills) if not self._parts(skill)}
        self._places = {(s, x): (i, j) for i, s in enumerate(self.skills) for j, x in enumerate(self.names[i])}

    def _parts(self, skill: str) -> tuple[str, ...]:
        return self._task.subskills(skill) if self._engine.divides else ()

    def place(self, example: Example) -> tuple[int, int] | None:
        """Skill and subskill that an example of this forest's own was made for; ``None`` for any other."""
        skill = example.skills[0] if example.skills else ""
        return self._whole.get(skill) or self._places.get((skill, example.origin.rpartition("/")[2]))

    def count(self, lessons: Lessons) -> Counts:
        """Examples by subskill, ``(k, m)``."""
        counts = np.zeros(self.shape, np.int64)
        for lesson in lessons:
            for example in lesson:
                place = self.place(example)
                if place is not None:
                    counts[place] += 1
        return counts

    # --- the exam

    @cached_property
    def _problems(self) -> list[tuple[tuple[int, int], Problem]]:
        made = []
        for i, skill in enumerate(self.skills):
            each = max(1, self._setting.items.feedback // len(self.names[i]))
            for j, name in enumerate(self._parts(skill)):
                rng = stream(_SEED, f"exam {skill}/{name}")
                for n, e in enumerate(self._task.generate_subskill(skill, name, each, rng)):
                    id_ = f"{EXAM}/{skill}/{name}/{n}"
                    fields = {"prompt": e.prompt, "answer": e.response, "skills": e.skills, "media": e.media}
                    asked = Problem(id=id_, split="feedback", **fields)
                    made.append(((i, j), asked))
        return made

    @cached_property
    def exam(self) -> Exam | None:
        """As many problems of a skill as the feedback exam has, equally many of each subskill; ``None`` without any.

        They come from the generator and are not sealed, so a lesson may hold some of them: how well the student does
        on the data that it is taught. What teachers are ranked by is asked elsewhere.
        """
        setting, problems = self._setting, [problem for _, problem in self._problems]
        if not problems:
            return None
        prompts, engine = tuple(p.prompt for p in problems), setting.engine_of_answers
        return Exam(name=EXAM, prompts=prompts, media=media_of(problems), decoding=setting.decoding, engine=engine)

    def accuracy(self, answers: Sequence[str], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Accuracy by subskill, ``(k, m)`` in [0, 1]; ``whole``, ``(k,)``, stands for a skill that is one piece."""
        right, n = np.zeros(self.shape), np.zeros(self.shape)
        asked = [(problem, answer) for (_, problem), answer in zip(self._problems, answers, strict=True)]
        for (place, _), grade in zip(self._problems, self._task.grades(asked), strict=True):
            right[place] += grade.correct
            n[place] += 1
        out = right / np.maximum(n, 1)
        for i, j in self._whole.values():
            out[i, j] = whole[i]
        return np.asarray(out, np.float64)

    # --- the data

    def compose(self, shares: Shares, scene: Scene, data: str) -> Offer:
        """The data of the next fine-tune.

        Under ``data="lesson"`` it sees ``lesson_size`` new examples in these shares, and replay draws on what was
        taught of the subskills that still have one. Under ``data="all"`` it sees as much of the lessons so far as fits
        the shares, and up to ``lesson_size`` new examples that fill them; so what is pruned is not trained on again.

        Args:
            shares: ``(k, m)``, sum 1.
            scene: Of the lesson.
            data: Of the recipe that it is trained by.
        """
        rng, lessons = scene.rng, scene.lessons
        if data == "lesson":
            new = self._counts(shares, scene.lesson_size, rng)
            kept = self._keep(lessons, np.where(shares > 0, np.iinfo(np.int64).max, 0))
        else:
            have = self.count(lessons)
            wanted = self._fill(shares, have, rng)
            new, kept = np.maximum(wanted - have, 0), self._keep(lessons, np.minimum(wanted, have))
        offered = blended(self._engine, self._requests(new), scene)
        return Offer(offered, lessons, seen=kept, taken=scene.taken)

    def _counts(self, shares: Shares, total: int, rng: np.random.Generator) -> Counts:
        return np.array(split_counts(shares.ravel(), total, rng)).reshape(self.shape)

    def _fill(self, shares: Shares, have: Counts, rng: np.random.Generator) -> Counts:
        """The largest counts in these shares for which ``lesson_size`` new examples are enough."""
        # sum(max(0, share * T - have)) grows with T by straight pieces, so the T at which it reaches the size is found
        # by sorting the places where they meet. Whole counts may ask a few more; then T is taken down.
        size = self._setting.lesson_size
        s, h = shares[shares > 0], have[shares > 0]
        order = np.argsort(h / s)
        rising, falling = np.cumsum(s[order]), np.cumsum(h[order])
        total = int(np.min((size + falling) / rising) + 1e-6)
        while (np.maximum((counts := self._counts(shares, total, rng)) - have, 0)).sum() > size:
            total -= 1
        return counts

    def _keep(self, lessons: Lessons, most: Counts) -> list[tuple[Example, ...]]:
        """The lessons, with no more than so many examples of each subskill, ``(k, m)``: those that came first."""
        left = most.copy()
        out = []
        for lesson in lessons:
            kept = []
            for example in lesson:
                place = self.place(example)
                if place is not None and left[place] > 0:
                    left[place] -= 1
                    kept.append(example)
            out.append(tuple(kept))
        return out

    def _requests(self, counts: Counts) -> list[Request]:
        """What is asked of the engine, subskill by subskill; of a skill that is one piece, as a whole."""
        asked = []
        for (i, j), n in np.ndenumerate(counts):
            skill = self.skills[i]
            if n:
                asked.append(Request(skill, int(n), subskill="" if skill in self._whole else self.names[i][j]))
        return asked
