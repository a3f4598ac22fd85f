"""The price of a lesson in student tokens, known before it is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from students.base import FORWARD, FORWARD_BACKWARD, Recipe, Trained
from students.methods import method_of


@dataclass(frozen=True)
class Price:
    """What training on a lesson costs, in student tokens.

    Attributes:
        each: Of one update: forward and backward over a batch of mean length.
        fixed: Of the branch that is cooled down.
        look: Of one look at the watched examples; forward.
        interval: Updates between two looks.
        metered: Whether ``each`` is the most that an update may cost, and what it did cost is counted by the token:
            how long answers are is known when they are written.
    """

    each: int
    fixed: int = 0
    look: int = 0
    interval: int = 1
    metered: bool = False

    @property
    def reserved(self) -> int:
        """What is set aside for each update, its share of a look included."""
        return self.each + -(-self.look // self.interval)

    def most(self, updates: int) -> int:
        """What is set aside for some updates: no training run of as many costs more."""
        return updates * self.reserved + self.fixed if updates else 0

    def of(self, trained: Trained) -> int:
        """What a training run cost."""
        if self.metered:
            return FORWARD * trained.forward + FORWARD_BACKWARD * trained.tokens
        return trained.updates * self.each + self.fixed + trained.looks * self.look


def price_of(recipe: Recipe, fresh: Sequence[int], earlier: Sequence[int], watched: Sequence[int] = ()) -> Price:
    """The price of training by a recipe.

    Args:
        recipe: Gives batch, replay share, cool-down and interval.
        fresh: Tokens of each example of the lesson (of a pair, of both; where answers are sampled, with the longest);
            not empty.
        earlier: Tokens of each replayed example; empty where nothing is replayed.
        watched: Tokens of each example that patience looks at.
    """
    rate = method_of(recipe).rate(recipe)
    if rate.metered:
        return Price(recipe.batch * max(fresh) * rate.times, metered=True)
    mean = sum(fresh) / len(fresh)
    share = recipe.replay if earlier else 0.0
    blended = (1 - share) * mean + (share * sum(earlier) / len(earlier) if earlier else 0.0)
    each = rate.times * math.ceil(recipe.batch * blended - 1e-9)
    return Price(each, recipe.cooldown * each, FORWARD * sum(watched), recipe.interval)
