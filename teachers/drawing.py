"""A teacher that draws its examples from the task itself, or from a language model that writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from teachers.base import Level, Teacher
from teachers.engines.writer import maybe_engine, source_of

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class DrawingTeacher(Teacher):
    """What teachers with the arguments ``chat`` and ``engine`` share; see ``Writer``.

    Args:
        chat: The language model that writes the examples: the fields of ``ChatSpec``, or ``local``; ``None`` for the
            task itself.
        engine: Further fields of ``EngineSpec``.

    Attributes:
        yields: Counts of each stage of the engine.
    """

    level: ClassVar[Level] = "open-ended"

    def __init__(self, chat: Mapping[str, Any] | str | None, engine: Mapping[str, Any] | None) -> None:
        self._engine = maybe_engine(chat, engine)

    def begin(self, context: Context) -> None:
        """Open the source of the episode."""
        self._context, self._source = context, source_of(context, self._engine, self.name)
        self.yields: Counter[str] = self._source.yields

    def _requests_for(self, n: int) -> int:
        """Requests that ``n`` examples take at the most; the task itself needs none."""
        return self._engine.most_requests(n) if self._engine else 0
