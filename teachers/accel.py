"""``accel``: a buffer of task parameters at the edge of what the student can do, edited a little and replayed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dataenv.lessons.engines import Request, split_counts
from teachers.base import Floats, require, require_share, require_whole
from teachers.drawing import DrawingTeacher
from teachers.lessons import Allowance, passed, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from tasks.records import Example

Place = tuple[int, int]
"""A level of the paper's: the number of a skill, and a step of difficulty, from 0 to ``round(1 / step)``."""


@dataclass
class Scored:
    """What is known of a place: its learnability, and at which step that was measured."""

    score: float
    at: int


class Accel(DrawingTeacher):
    """ACCEL (arXiv 2203.01302, Algorithm 1) over robust PLR (arXiv 2110.02439), for a task's parameters.

    A level is (skill, difficulty). Its score is learnability, ``p (1 - p) n / (n - 1)`` with p the accuracy on n =
    ``items`` fresh examples (SFL, arXiv 2408.15099; the papers' value loss has no counterpart here). Before each
    lesson:

    1. Until a draw says *replay* (with probability ``replay``), as many new levels as the buffer has free places, but
       one at least, are drawn at random, scored and put in. Robust PLR: what a level is scored on is never taught.
    2. What the last lesson taught is scored again, and so is an edit of each of its levels: difficulty one ``step`` up
       or down, or a neighbouring skill, which is one that examples need together with it; ``edits`` of these in a row
       (the paper: 5 on mazes). A level that scores above the buffer's lowest takes that one's place.
    3. The lesson is fresh examples of the levels in shares ``(1 - staleness) h + staleness c``, where h is
       proportional to ``rank ** (-1 / beta)`` by score and c to the steps since a level was scored. Equal scores share
       their ranks' weight equally.

    There a lesson is one batch of a hundred thousand, so sharp shares are smoothed over time. Here it is dozens of
    updates of one mixture, and the default beta puts most of a lesson on one level.

    Args:
        beta: Temperature of the ranks; larger is more even.
        replay: Probability of replay in place of new levels.
        staleness: Weight of staleness, in [0, 1].
        buffer: Levels that are kept. Small, so that getting in means something.
        step: Of an edit of difficulty, in (0, 1]. Half a unit: ``arithmetic`` has three levels.
        items: Fresh examples that a level is scored on, at least 2.
        share: The most of the purse that goes into scoring, in [0, 1].
        edits: Made in a row of each level that was taught; 0 is robust PLR without ACCEL.
        chat: The language model that writes the examples of a level (see ``Writer``): the fields of ``ChatSpec``, or
            ``local``; ``None`` for the task itself.
        engine: Further fields of ``EngineSpec``.

    Attributes:
        levels: The buffer.
        yields: Counts of each stage of the engine.
    """

    name: ClassVar[str] = "accel"

    def __init__(
        self,
        beta: float = 0.3,
        replay: float = 0.8,
        staleness: float = 0.3,
        buffer: int = 24,
        step: float = 0.5,
        items: int = 8,
        share: float = 1 / 3,
        chat: Mapping[str, Any] | str | None = None,
        engine: Mapping[str, Any] | None = None,
        edits: int = 1,
    ) -> None:
        require(0.0 < beta < np.inf, "beta", beta, "give a finite number > 0")
        require(0.0 < replay <= 1.0, "replay", replay, "give a number in (0, 1]; at 0 nothing would ever be taught")
        require(0.0 < step <= 1.0, "step", step, "give a number in (0, 1]")
        for field, value, least in (("buffer", buffer, 1), ("items", items, 2), ("edits", edits, 0)):
            require_whole(field, value, least)
        self.beta, self.replay, self.buffer, self.step, self.items = beta, replay, buffer, step, items
        self.edits = edits
        self.staleness, self.share = require_share("staleness", staleness), require_share("share", share)
        super().__init__(chat, engine)

    def begin(self, context: Context) -> None:
        """Start with an empty buffer."""
        super().begin(context)
        self._allowance = Allowance(context, self.share)
        self.levels: dict[Place, Scored] = {}
        self._taught: list[Place] = []
        self._near: dict[int, set[int]] = defaultdict(set)
        self._now, self._top = 0, round(1 / self.step)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Example]:
        """Score, edit, and replay from the buffer; stratified where nothing could be scored."""
        rng = self._context.rng
        self._now += 1
        scorings = 0
        while not self.levels or rng.random() >= self.replay:
            if self._engine is not None and scorings == self.buffer:  # who is asked for levels is paid for each
                break
            scorings += 1
            if not self._score(self._new(max(1, self.buffer - len(self.levels)))):
                break
        if self._taught:
            self._score([*self._taught, *self._edits()])
        if not self.levels:
            return self._source.stratified()
        places = sorted(self.levels)
        counts = split_counts(self._shares(places), self._context.lesson_size, rng)
        self._taught = [place for place, n in zip(places, counts, strict=True) if n]
        return shuffled([e for made in self._made(places, counts) for e in made], rng)

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        scored = self.items * self.buffer * (self.buffer + 2)  # new ones, those taught last, and an edit of each
        return self._requests_for(scored + lesson_size)

    def _shares(self, places: list[Place]) -> Floats:
        """PLR's distribution over the buffer (arXiv 2010.03934, section 3)."""
        scores = np.array([self.levels[place].score for place in places])
        age = np.array([self._now - self.levels[place].at for place in places], np.float64)
        h = by_rank(scores, self.beta)
        return h if not age.any() else (1 - self.staleness) * h + self.staleness * age / age.sum()

    def _new(self, n: int) -> list[Place]:
        """At most ``n`` random levels that are not in the buffer."""
        places = [(skill, d) for skill in range(len(self._context.skills)) for d in range(self._top + 1)]
        return shuffled([place for place in places if place not in self.levels], self._context.rng)[:n]

    def _edits(self) -> list[Place]:
        """For each level taught last, ``edits`` in a row: harder, easier or a neighbouring skill, equally likely."""
        rng, out = self._context.rng, dict[Place, None]()
        for skill, d in self._taught:
            for _ in range(self.edits):
                ways = [(skill, d + by) for by in (-1, 1) if 0 <= d + by <= self._top]
                ways += [(other, d) for other in sorted(self._near[skill])]
                if ways:
                    skill, d = ways[int(rng.integers(len(ways)))]
            out[skill, d] = None
        return [place for place in out if place not in self._taught]

    def _made(self, places: Sequence[Place], counts: Sequence[int]) -> list[list[Example]]:
        """Fresh examples of each place, as many as its count, made together."""
        skills = self._context.skills
        levels = [(skills[skill], min(1.0, d * self.step)) for skill, d in places]
        return self._source.make([Request(skill, n, d) for (skill, d), n in zip(levels, counts, strict=True)])

    def _score(self, places: list[Place]) -> bool:
        """Score levels and admit them to the buffer; returns whether there were any and they could be paid."""
        asked = dict(zip(places, self._made(places, [self.items] * len(places)), strict=True))
        pairs = [(place, e) for place, made in asked.items() for e in made]
        if not pairs or len(pairs) * self._context.budget.answer_price > self._allowance.left:
            return False
        found = self._allowance.spend(lambda: passed(self._right, pairs))
        if found is None:
            return False
        right: dict[Place, list[float]] = {place: [] for place in asked}
        for (place, _), hit in zip(*found, strict=True):
            right[place].append(hit)
        for place, made in asked.items():
            self._meet(made)
            self._admit(place, learnability(right[place]))
        return True

    def _right(self, pairs: Sequence[tuple[Place, Example]]) -> Floats:
        return self._context.probe([e for _, e in pairs], "accuracy")

    def _admit(self, place: Place, score: float) -> None:
        """Put a level into the buffer: replace its own entry, take a free place, or replace a lower score."""
        if place not in self.levels and len(self.levels) >= self.buffer:
            lowest = min(sorted(self.levels), key=lambda p: self.levels[p].score)
            if score <= self.levels[lowest].score:
                return
            del self.levels[lowest]
        self.levels[place] = Scored(score, self._now)

    def _meet(self, examples: list[Example]) -> None:
        """Note as neighbours the skills that one example needs together."""
        row = {skill: i for i, skill in enumerate(self._context.skills)}
        for example in examples:
            first, *others = (row[skill] for skill in example.skills if skill in row)
            for other in others:
                self._near[first].add(other)
                self._near[other].add(first)


def learnability(right: npt.ArrayLike) -> float:
    """``p (1 - p) n / (n - 1)``, the unbiased variance of a right answer; 0 for fewer than two."""
    hits = np.asarray(right, np.float64)
    return float(hits.var(ddof=1)) if len(hits) > 1 else 0.0


def by_rank(scores: Floats, beta: float) -> Floats:
    """Rank prioritisation: shares proportional to ``rank ** (-1 / beta)``, rank 1 the highest score.

    Equal scores get the mean of what their ranks get, so that no order of names decides.

    Args:
        scores: ``(n,)``, n at least 1.
        beta: Positive; at infinity shares are equal.

    Returns:
        ``(n,)``, sums to 1.
    """
    order = np.argsort(-scores, kind="stable")
    h = np.empty(len(scores))
    h[order] = np.arange(1, len(scores) + 1) ** (-1.0 / beta)
    for score in np.unique(scores):
        h[scores == score] = h[scores == score].mean()
    return np.asarray(h / h.sum())
