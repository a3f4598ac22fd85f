"""``embed-sel``: teach the pool's items that look most like what was answered wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from tasks.embedding import Embedding, nearest
from teachers.base import Level, Teacher, require
from teachers.lessons import pool_or_made, shuffled
from teachers.profile import Detect, difficult_problems, require_profile, times

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from tasks.records import Example


class EmbedSel(Teacher):
    """Embed-Sel, the baseline of STAT-Sel (arXiv 2510.10023, section 4): no skills, only likeness of the questions.

    There: five nearest training questions of each difficult question, by a language model's embedding. Here: hashed
    character n-grams (``tasks.embedding``), which need no model, and the nearest item of every difficult question,
    then the second nearest of every one, and so on, none twice, until the lesson is full. A question that stands for
    several, because the observation does not show all mistakes, gives as many at a time. Likeness of the wording is
    likeness of the topic; which step of a solution failed it cannot see, and that is what it is a baseline for. Where
    a task has no pool, one is made of its generator at the beginning. Where nothing is difficult, items are drawn
    evenly.

    Args:
        detect: How a difficult question is found: wrong, says the ``verifier``; or by the ``consistency`` of five
            answers, which are paid from the purse.
        difficult: Questions that are looked at in a step, at the most; ``None`` for all that the observation shows.
        each: Nearest items of each, at the most; ``None`` for as many as fill the lesson. The paper has 5.
    """

    name: ClassVar[str] = "embed-sel"
    level: ClassVar[Level] = "open-ended"

    def __init__(self, detect: Detect = "verifier", difficult: int | None = None, each: int | None = None) -> None:
        require_profile(detect, "task", "step", difficult, None)
        require(each is None or each >= 1, "each", each, "give 1 or more, or leave it out")
        self.detect, self.difficult, self.each = detect, difficult, each

    def begin(self, context: Context) -> None:
        """Embed the pool."""
        self._context, self._pool = context, pool_or_made(context)
        self._embedding = Embedding([example.prompt for example in self._pool])
        self._last: Sequence[Example] = ()

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> tuple[Example, ...]:
        """The neighbours of what is difficult now; the last lesson again, where the purse allows no look."""
        context, rng = self._context, self._context.rng
        errors = difficult_problems(context, observation, self.detect, self.difficult)
        if errors is None and self._last:
            return tuple(self._last)
        if errors:
            order = nearest(self._embedding.vectors, self._embedding.embed([error["prompt"] for error, _ in errors]))
            rows, pace = rng.permutation(len(order)), np.array(times([weight for _, weight in errors]))
            chosen = in_turn(order[rows, : self.each], context.lesson_size, pace[rows])
        else:
            chosen = rng.permutation(len(self._pool))[: context.lesson_size].tolist()
        self._last = shuffled([self._pool[i] for i in chosen], rng)
        return tuple(self._last)


def in_turn(orders: npt.NDArray[np.int64], n: int, pace: npt.NDArray[np.int64]) -> list[int]:
    """The first ``n`` different numbers of some rows: the best of each row, then the next of each, and so on.

    Args:
        orders: ``(rows, ranks)``.
        n: Not negative.
        pace: ``(rows,)``, how many numbers a row gives at a time, 1 or more.
    """
    turn = np.arange(orders.shape[1])[None, :] // pace[:, None]
    # By turn, then by row, then by rank: a stable sort of the rows as they stand.
    flat = orders.ravel()[np.argsort(turn.ravel(), kind="stable")]
    _, firsts = np.unique(flat, return_index=True)
    return [int(i) for i in flat[np.sort(firsts)[:n]]]
