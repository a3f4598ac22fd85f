"""References that a board computes itself and does not rank: what a teacher's figures are to be held against."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dataenv.episode.context import Context
from tasks.records import Example


class Nothing:
    """Teaches nothing: stops at once. The untaught student."""

    level: ClassVar[str] = "skill-list"

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """The empty action."""
        return np.zeros_like(observation["accuracy"])


class FormatOnly:
    """Right form, wrong content: every skill equally, each skill's responses dealt out anew among its prompts.

    What it gains is what any data in this form would have gained.
    """

    level: ClassVar[str] = "open-ended"

    def begin(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    def act(self, observation: Any, info: dict[str, Any]) -> list[Example]:
        """A lesson of shuffled responses."""
        context = self._context
        lesson: list[Example] = []
        each = -(-context.lesson_size // len(context.skills))
        for skill in context.skills:
            made = context.generate(skill, each)
            deal = context.rng.permutation(len(made))
            lesson.extend(
                made[i].model_copy(update={"response": made[j].response, "origin": "format-only"})
                for i, j in enumerate(deal)
            )
        order = context.rng.permutation(len(lesson))[: context.lesson_size]
        return [lesson[i] for i in order]


class Joint:
    """Everything at once: one lesson of the whole pool, for as many updates as the purse pays."""

    level: ClassVar[str] = "open-ended"

    def begin(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    def act(self, observation: Any, info: dict[str, Any]) -> list[Example]:
        """The pool."""
        return list(self._context.pool())
