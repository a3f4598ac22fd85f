"""``variants``: items of the pool, and more like each from the task's generator, whatever the student can do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.errors import UnsupportedError
from teachers.base import Level, Teacher, require_whole
from teachers.lessons import pool_or_made, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from tasks.records import Example


class Variants(Teacher):
    """``augment`` without a language model: a blind control that spends on more of the same.

    Items are drawn from the pool evenly, whatever the student gets wrong; each comes with variants, which are the
    generator's of the same primary skill. Where a pool has every skill equally often, that is ``stratified`` with some
    of the pool among it.

    Args:
        each: Variants of each item.
    """

    name: ClassVar[str] = "variants"
    level: ClassVar[Level] = "open-ended"

    def __init__(self, each: int = 2) -> None:
        require_whole("each", each)
        self.each = each

    def begin(self, context: Context) -> None:
        """Shuffle the pool.

        Raises:
            ValueError: If the task has no generator.
        """
        try:
            context.generate(context.skills[0], 1)
        except UnsupportedError:
            raise ValueError(
                "the task has no generator to make variants with; take 'augment', which asks a model"
            ) from None
        self._context, self._pool, self._next = context, shuffled(pool_or_made(context), context.rng), 0

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """The next items of the pool, which starts again when it is used up, and their variants."""
        context, n = self._context, self._context.lesson_size
        count = -(-n // (1 + self.each))
        items = [self._pool[(self._next + i) % len(self._pool)] for i in range(count)]
        self._next += count
        wanted = Counter(item.skills[0] for item in items)
        made = [e for skill, k in sorted(wanted.items()) for e in context.generate(skill, k * self.each)]
        return shuffled([*items, *shuffled(made, context.rng)][:n], context.rng)
