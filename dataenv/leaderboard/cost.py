"""What a teacher's language models cost, and what that is for a point that its students learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataenv.leaderboard.accuracy import Figure, number
from dataenv.leaderboard.rows import Row
from tasks.records import Record

if TYPE_CHECKING:
    from dataenv.leaderboard.statistics import Comparison


class PerPoint(NamedTuple):
    """Spent a point, and the ends of its 95 % interval; infinite where no point was learnt, or none may have been."""

    estimate: float
    low: float
    high: float


class TeacherCost(Record):
    """What was spent on language models, over the seeds on which a teacher and the untaught student have a score.

    The cost of a point is the mean spent over the mean learnt, in percentage points of test score above the untaught
    student of the same seed. Its interval is that of what was learnt, with the spending as it was.

    Attributes:
        tokens: Mean over seeds, prompts and replies together.
        money: Mean over seeds, in the currency of the chat's prices.
        learnt: Mean over seeds of the test score minus the untaught student's; ``None`` where there is none.
        low: Lower end of its 95 % interval (``high`` the upper); ``None`` for one seed.
    """

    tokens: float
    money: float
    learnt: Figure | None
    low: Figure | None
    high: Figure | None

    @property
    def tokens_per_point(self) -> PerPoint | None:
        """Teacher tokens for one percentage point."""
        return self._per_point(self.tokens)

    @property
    def money_per_point(self) -> PerPoint | None:
        """Money for one percentage point."""
        return self._per_point(self.money)

    def _per_point(self, spent: float) -> PerPoint | None:
        if self.learnt is None:
            return None
        ends = (self.learnt, self.high or self.learnt, self.low or self.learnt)
        return PerPoint(*(spent / (100 * number(x)) if number(x) > 0 else math.inf for x in ends))


def cost_of(rows: Sequence[Row], over_untaught: Comparison) -> TeacherCost | None:
    """The cost of one teacher; ``None`` where it spent nothing on language models.

    Args:
        rows: Its runs.
        over_untaught: It minus the untaught student.
    """
    counted = [row.budget for row in rows if row.seed in over_untaught.seeds] or [row.budget for row in rows]
    if not any(spent.teacher_tokens or spent.money for spent in counted):
        return None
    return TeacherCost(
        tokens=float(np.mean([spent.teacher_tokens for spent in counted])),
        money=float(np.mean([spent.money for spent in counted])),
        learnt=over_untaught.gain,
        low=over_untaught.low,
        high=over_untaught.high,
    )
