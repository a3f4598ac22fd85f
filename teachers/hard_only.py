"""``hard-only``: teach what is hard, of any skill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from teachers.base import Level, Teacher, require, require_share
from teachers.lessons import Allowance, Source, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from tasks.records import Example


class HardOnly(Teacher):
    """The control without skills of STAT (MATH-Hard, arXiv 2510.10023, section 4): hard items, all skills evenly.

    In the paper hard items are those of the two highest levels that the data set's authors gave. Here, by default, hard
    is what the student fails now: fresh items (of the pool, where there is no generator), equally many of each skill,
    are put to it, paid from the purse, and those are taught that it gets wrong. A lesson is therefore shorter than an
    ordinary one and each item is seen more often, for an update costs what it costs. Where no more can be asked, the
    last lesson is taught again; where none was ever wrong it stops.

    Args:
        difficulty: In place of asking the student, items of this difficulty, in [0, 1], from the task's generator: the
            paper's control. It costs nothing.
        share: The most of the purse that goes into asking, in [0, 1].

    Attributes:
        asked: Items that the student was asked in this episode.
        failed: Those of them that it got wrong.
    """

    name: ClassVar[str] = "hard-only"
    level: ClassVar[Level] = "open-ended"

    def __init__(self, difficulty: float | None = None, share: float = 1 / 3) -> None:
        require(
            difficulty is None or 0 <= difficulty <= 1,
            "difficulty",
            difficulty,
            "give a number in [0, 1], or leave it out",
        )
        self.difficulty, self.share = difficulty, require_share("share", share)

    def begin(self, context: Context) -> None:
        """Forget the episode before."""
        self._context, self._source, self._allowance = context, Source(context), Allowance(context, self.share)
        self._lesson: list[Example] = []
        self.asked = self.failed = 0

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """Ask, and teach what was wrong."""
        context = self._context
        if self.difficulty is not None:
            return self._source.stratified(difficulty=self.difficulty)
        price = context.budget.answer_price
        n = min(int(self._allowance.for_this_step // price), 2 * context.lesson_size)
        self._lesson = self._wrong(n) or self._lesson
        return shuffled(self._lesson, context.rng)

    def _wrong(self, n: int) -> list[Example]:
        """Those of ``n`` new items that the student answers wrongly, one ordinary lesson at the most."""
        asked = list({e.prompt: e for e in self._source.stratified(n)}.values()) if n else []
        right = self._allowance.spend(lambda: self._context.probe(asked, "accuracy")) if asked else None
        if right is None:
            return []
        wrong = [e for e, hit in zip(asked, right.tolist(), strict=True) if not hit]
        self.asked, self.failed = self.asked + len(asked), self.failed + len(wrong)
        return wrong[: self._context.lesson_size]
