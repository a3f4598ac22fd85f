"""``llm2llm``: what was answered wrongly is asked again in other words, round after round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from teachers.base import Level, Teacher, require_share
from teachers.lessons import Source, shuffled

if TYPE_CHECKING:
    from dataenv.episode import Context
    from tasks.records import Example


class Llm2Llm(Teacher):
    """The error-driven loop of LLM2LLM (arXiv 2403.15042, Algorithm 1) over the task's own engine.

    There: fine-tune on the data so far, find the *seed* items that are still answered wrongly, have a teacher model
    write one similar item for each, add these, and start again from the base model. Items are made from seeds only,
    never from items that were made, so that errors of the teacher do not breed. Here:

    * Seeds are the feedback problems, which the observation shows where they are wrong. They are sealed, so they
      themselves are never taught; the paper trains on its seeds too, and ``floor`` stands for that.
    * There is no language model: similar is what the engine makes of the same skill and difficulty
      (``context.describe``), or what the pool holds of the same skill. Such an item is always right.
    * A lesson has ``lesson_size`` examples in place of one for each seed: every wrong seed gets equally many.
    * Whether data add up and the student starts again from the untaught one is the Setting's recipe: ``start="base"``,
      ``data="all"`` is the paper's; the default goes on from the student as it is, with this lesson alone.

    Args:
        floor: Share of a lesson dealt out evenly over the skills.
    """

    name: ClassVar[str] = "llm2llm"
    level: ClassVar[Level] = "open-ended"

    def __init__(self, floor: float = 0.1) -> None:
        self.floor = require_share("floor", floor)

    def begin(self, context: Context) -> None:
        """Keep what examples are drawn from."""
        self._context, self._source = context, Source(context)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """Examples like the seeds that are wrong now; where none is, all skills evenly."""
        context = self._context
        wrong = shuffled([context.describe(error) for error in observation["errors"]], context.rng)
        spared = context.lesson_size if not wrong else round(self.floor * context.lesson_size)
        each, extra = divmod(context.lesson_size - spared, max(1, len(wrong)))
        wanted: dict[tuple[str, float], int] = {}
        for i, seed in enumerate(wrong):
            wanted[seed] = wanted.get(seed, 0) + each + (i < extra)
        made = [e for (skill, difficulty), n in sorted(wanted.items()) for e in self._source.draw(skill, n, difficulty)]
        return shuffled(made + self._source.stratified(spared), context.rng)
