"""What lessons cost in student tokens: what each one did cost, and what one is likely to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from students.base import FORWARD, FORWARD_BACKWARD, Recipe, Trained
from students.training.methods import method_of


def cost_of(trained: Trained, recipe: Recipe, look: int = 0) -> int:
    """What a training run cost, counted by the token.

    Args:
        trained: What it reports.
        recipe: By which it was trained.
        look: Of one look at the watched examples.
    """
    rate = method_of(recipe).rate(recipe)
    forward = FORWARD * trained.forward if rate.metered else 0  # elsewhere it is in the price of each token
    return forward + (FORWARD_BACKWARD if rate.metered else rate.times) * trained.tokens + trained.looks * look


def totals(walk: Iterator[int], recipe: Recipe, look: int, ceiling: int) -> list[int]:
    """What 1, 2, … updates cost, cool-down and looks included: the most that a run of so many costs.

    Args:
        walk: Tokens of each update, in the order in which they are made; those of the cool-down follow the last one.
        recipe: Gives the method's rate, updates, cool-down, patience and interval.
        look: Of one look at the watched examples.
        ceiling: Nothing beyond it is counted: no purse holds more.
    """
    times = method_of(recipe).rate(recipe).times
    cost, found = times * sum(islice(walk, recipe.cooldown)), list[int]()
    for made, tokens in enumerate(islice(walk, recipe.updates), start=1):
        cost += times * tokens
        total = cost + (look * (made // recipe.interval) if recipe.patience else 0)
        if total > ceiling:
            break
        found.append(total)
    return found


@dataclass(frozen=True)
class Price:
    """What training on a lesson is likely to cost, in student tokens. What it does cost is counted (``cost_of``).

    Attributes:
        each: Of one update: forward and backward over a batch of mean length.
        fixed: Of the branch that is cooled down.
        look: Of one look at the watched examples; forward.
        interval: Updates between two looks.
        metered: Whether ``each`` is the most that an update may cost, and it is set aside: how long answers are is
            known when they are written.
    """

    each: int
    fixed: int = 0
    look: int = 0
    interval: int = 1
    metered: bool = False

    @property
    def reserved(self) -> int:
        """One update, its share of a look included."""
        return self.each + -(-self.look // self.interval)

    def most(self, updates: int) -> int:
        """Some updates and their looks."""
        return updates * self.reserved + self.fixed if updates else 0


def price_of(recipe: Recipe, fresh: Sequence[int], earlier: Sequence[int], watched: Sequence[int] = ()) -> Price:
    """What training by a recipe is likely to cost: an estimate from mean lengths; the most, where it is metered.

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
