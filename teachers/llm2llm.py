"""``llm2llm``: what was answered wrongly is asked again in other words, round after round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from dataenv.lessons.engines import Request
from tasks.records import Example
from teachers.base import require_share, require_whole
from teachers.drawing import DrawingTeacher
from teachers.lessons import shuffled
from teachers.profile import stands_for, times


class Llm2Llm(DrawingTeacher):
    """The error-driven loop of LLM2LLM (arXiv 2403.15042, Algorithm 1), over a language model or the task's own engine.

    There: fine-tune on the data so far, find the *seed* items that are still answered wrongly, have a teacher model
    write one similar item for each, add these, and start again from the base model. Items are made from seeds only,
    never from items that were made, so that errors of the teacher do not breed. Here:

    * Seeds are the feedback problems, which the observation shows where they are wrong. They are sealed, so they
      themselves are never taught; the paper trains on its seeds too, and ``floor`` stands for that.
    * With ``chat`` a language model writes after the seed and its right answer, and what solutions agree on is kept.
      Without, similar is what the engine makes of the same skill and difficulty (``context.describe``), or what the
      pool holds of the same skill. Such an item is always right.
    * A lesson has ``lesson_size`` examples in place of one for each seed: every wrong seed gets equally many, and
      where the observation does not show all of a skill's, those shown stand for the others.
    * Whether data add up and the student starts again from the untaught one is the Setting's recipe: ``start="base"``,
      ``data="all"`` is the paper's; the default goes on from the student as it is, with this lesson alone.

    Args:
        floor: Share of a lesson dealt out evenly over the skills.
        quota: Examples in a lesson; ``None`` for the Setting's ``lesson_size``.
        chat: The language model that writes (see ``Writer``): the fields of ``ChatSpec``, or ``local``; ``None`` for
            the task itself.
        engine: Further fields of ``EngineSpec``.

    Attributes:
        yields: Counts of each stage of the engine.
    """

    name: ClassVar[str] = "llm2llm"

    def __init__(
        self,
        floor: float = 0.1,
        quota: int | None = None,
        chat: Mapping[str, Any] | str | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        self.floor, self.quota = require_share("floor", floor), quota
        if quota is not None:
            require_whole("quota", quota, 1)
        super().__init__(chat, engine)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """Examples like the seeds that are wrong now; where none is, all skills evenly."""
        context = self._context
        size = self.quota or context.lesson_size
        wrong = shuffled(observation["errors"], context.rng)
        spared = size if not wrong else round(self.floor * size)
        weights = np.array(stands_for(context, wrong, observation["wrong"]) if wrong else [])
        counts = times(list((size - spared) * weights / weights.sum()))
        made = [e for examples in self._source.make(self._requests(wrong, counts)) for e in examples]
        return shuffled(made + self._source.stratified(spared), context.rng)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        return self._requests_for(self.quota or lesson_size)

    def _requests(self, wrong: Sequence[Mapping[str, str]], counts: Sequence[int]) -> list[Request]:
        """For a model one a seed, which it is shown; for the task, which needs no seed, one a skill and difficulty."""
        described = [self._context.describe(error) for error in wrong]
        if self._engine is not None:
            seeds = [
                Example(prompt=error["prompt"], response=error["answer"], skills=(skill,))
                for error, (skill, _) in zip(wrong, described, strict=True)
            ]
            return [Request(seed.skills[0], n, references=(seed,)) for seed, n in zip(seeds, counts, strict=True) if n]
        wanted: dict[tuple[str, float], int] = {}
        for place, n in zip(described, counts, strict=True):
            wanted[place] = wanted.get(place, 0) + n
        return [Request(skill, n, difficulty) for (skill, difficulty), n in sorted(wanted.items())]
