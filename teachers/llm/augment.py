"""``augment``: a language model words problems of the pool anew and solves them anew, whatever the student can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from tasks.records import Example, Record
from teachers.base import require_share
from teachers.chat.synthesis import Want
from teachers.lessons import shuffled
from teachers.llm.synthesizer import Shape, Synthesizer

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class Reworded(Record):
    """The reply."""

    questions: tuple[str, ...]


class Augment(Synthesizer):
    """The blind control of STAT (MATH-Augment, arXiv 2510.10023, section 4), by rewrites as MetaMath makes them.

    Items of the pool are taken in a random order, which starts again when they are used up. An item is either worded
    anew (MetaMath's *rephrasing*, arXiv 2309.12284, section 3.2) or stays as it is; both are solved anew (its *answer
    augmentation*, which alone is STAT's control) and kept where solutions agree. MetaMath's two backward questions are
    not made. The model never sees the item's own solution: the references are other items of its skill.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        reword: Probability that an item is worded anew, in [0, 1].
        **shape: Of a lesson; see ``Synthesizer``.
    """

    name: ClassVar[str] = "augment"

    def __init__(self, chat: Mapping[str, Any] | str, reword: float = 0.5, **shape: Unpack[Shape]) -> None:
        super().__init__(chat, **shape)
        self.reword = require_share("reword", reword)

    def begin(self, context: Context) -> None:
        """Shuffle the pool."""
        super().begin(context)
        self._order, self._next = shuffled(self._pool, context.rng), 0

    def wants(self, n: int) -> list[Want]:
        """The next items."""
        items = [self._order[(self._next + i) % len(self._order)] for i in range(n)]
        self._next += n
        return [self._want(item) for item in items]

    def _want(self, item: Example) -> Want:
        shown = [e for e in self._items(self.references + 1, item.skills[0]) if e.prompt != item.prompt]
        references = tuple(shown[: self.references])
        if self._context.rng.random() < self.reword:
            data = {"problem": item.prompt}
            return Want(item.skills, references, "teachers.llm:augment.j2", Reworded, data, reworded=True)
        return Want(item.skills, references, given=item.prompt)
