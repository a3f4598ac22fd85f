"""References that a board computes itself and does not rank: what a teacher's figures are to be held against.

One of your own is one class and one name: the entry-point group ``dataenv.references``, or
``dataenv.register("reference", "mine", Mine)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dataenv import registry
from dataenv.episode.context import Context
from dataenv.errors import SettingError
from dataenv.levels import level_class
from dataenv.setting import Setting
from tasks.media import shown_by
from tasks.records import Example, stream


class Reference(ABC):
    """A teacher that a board plays beside the others. It is made without arguments, anew for every run.

    It may have what teachers may have (``begin``, ``learn``). Without, it is told nothing.

    Attributes:
        level: Of the environment that it plays in.
    """

    level: ClassVar[str] = "skill-list"

    @classmethod
    def within(cls, setting: Setting) -> Setting:
        """The Setting that it plays within, from that of the board without its finish; the default is the same."""
        return setting

    @classmethod
    def check(cls, setting: Setting) -> None:
        """Refuse a Setting of a board that it cannot be played within; the default refuses none.

        Raises:
            DataenvError: If it cannot, with what is missing.
        """
        return None

    def begin(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    @abstractmethod
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """An action of its level."""


def reference_class(name: str) -> type[Reference]:
    """The class of a reference.

    Raises:
        SettingError: If there is none of that name (with the nearest one), or it cannot be loaded.
    """
    found: type[Reference] = registry.find_class("reference", name, Reference)
    level_class(found.level)
    return found


class Nothing(Reference):
    """Teaches nothing: stops at once. The untaught student."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """The empty action."""
        return np.zeros_like(observation["accuracy"])


class FormatOnly(Reference):
    """Right form, wrong content: every skill equally, each skill's responses dealt out anew among its prompts.

    What it gains is what any data in this form would have gained.
    """

    level: ClassVar[str] = "open-ended"

    @classmethod
    def check(cls, setting: Setting) -> None:
        """The task must have a generator."""
        task = setting.built_task
        task.generate(task.skills[0], 1, stream(0, "check"))

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


class Joint(Reference):
    """Everything at once: one lesson of the whole pool, for as many updates as the purse pays.

    Attributes:
        times: Its purse, in purses of the board.
    """

    level: ClassVar[str] = "open-ended"
    times: ClassVar[int] = 1

    @classmethod
    def within(cls, setting: Setting) -> Setting:
        """One lesson of the whole pool, for all that its purse pays."""
        tokens = cls.times * setting.budget.student_tokens
        updates = max(1, tokens // (3 * setting.recipe.batch))
        recipe = setting.recipe.model_copy(update={"updates": updates, "replay": 0.0})
        budget = setting.budget.model_copy(update={"student_tokens": tokens, "examples": None})
        size = len(setting.built_task.pool())
        return setting.changed(recipe=recipe, budget=budget, lesson_size=size)

    def act(self, observation: Any, info: dict[str, Any]) -> list[Example]:
        """The pool."""
        return list(self._context.pool())


class QuestionOnly(Joint):
    """Every picture is that of another question of the same skill: what is to be had from the questions alone.

    What it gains is the question-only prior. It is taught as ``joint`` is.
    """

    @classmethod
    def check(cls, setting: Setting) -> None:
        """The task must show pictures."""
        if "image" not in shown_by(setting.built_task):
            raise SettingError(f"task {setting.task!r} shows no pictures; leave the reference 'question-only' out")

    def act(self, observation: Any, info: dict[str, Any]) -> list[Example]:
        """The pool, with pictures dealt out anew among the questions of each skill."""
        by_skill: dict[str, list[Example]] = {}
        for example in self._context.pool():
            by_skill.setdefault(example.skills[0], []).append(example)
        deals = [(rows, self._context.rng.permutation(len(rows)).tolist()) for rows in by_skill.values()]
        return [
            example.model_copy(update={"media": rows[j].media, "origin": "question-only"})
            for rows, deal in deals
            for example, j in zip(rows, deal, strict=True)
        ]


class JointX4(Joint):
    """Everything at once, with four times the purse."""

    times: ClassVar[int] = 4


class StaticBest(Reference):
    """The best fixed mixture in hindsight, chosen by a search among the board's mixtures on seeds of its own.

    The board searches first, and then plays the mixture that it found (``dataenv.leaderboard.runs``).

    Args:
        weights: The mixture by skill; a skill that it does not name weighs 1.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = dict(weights or {})

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """The same mixture every time."""
        shares = np.array([self._weights.get(skill, 1.0) for skill in self._context.skills], np.float32)
        return shares / shares.max()
