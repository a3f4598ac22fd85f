"""``hard-only``: teach what is hard, of any skill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dataenv.errors import TeacherFailedError
from teachers.base import Level, Teacher, require, require_share
from teachers.lessons import Allowance, Source, question_of, shuffled

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
        difficulty: In place of asking the student, items of this difficulty, in [0, 1], from the task's generator, or
            at least so difficult ones of its pool: the paper's control, which is 0.75 (levels 4 and 5) on MATH. It
            costs nothing.
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
        self._source = Source(context) if self.difficulty is None else _Hard(context, self.difficulty)
        self._context, self._allowance = context, Allowance(context, self.share)
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
        asked = list({question_of(e): e for e in self._source.stratified(n)}.values()) if n else []
        right = self._allowance.spend(lambda: self._context.probe(asked, "accuracy")) if asked else None
        if right is None:
            return []
        wrong = [e for e, hit in zip(asked, right.tolist(), strict=True) if not hit]
        self.asked, self.failed = self.asked + len(asked), self.failed + len(wrong)
        return wrong[: self._context.lesson_size]


class _Hard(Source):
    """Examples of a difficulty: where there is no generator, the pool's items that are so difficult or more."""

    def __init__(self, context: Context, least: float) -> None:
        super().__init__(context)
        self._episode, self._least = context, least

    def _items(self) -> list[Example]:
        pool = self._episode.pool()
        told = zip(pool, self._episode.difficulties(pool), strict=True)
        hard = [item for item, difficulty in told if difficulty is not None and difficulty >= self._least]
        if not hard:
            raise TeacherFailedError(
                f"difficulty of hard-only is {self._least:g}, and no item of the pool says that it is so difficult; "
                "give a file with a column level (1 to 5), or leave difficulty out"
            )
        return hard
