"""One purse of student compute. Training and probing draw on it, and what was asked is paid, cached or not.

The unit is the *student token*: one token going forward costs 1, forward and backward 3.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from dataenv.errors import BudgetSpent
from students.base import Recipe
from tasks.records import Record

FORWARD, FORWARD_BACKWARD = 1, 3


class Budget(Record):
    """What an episode may spend.

    Attributes:
        student_tokens: The purse.
        examples: The most examples that may be kept over the episode; ``None`` for no cap.
    """

    student_tokens: Annotated[int, Field(ge=0)]
    examples: Annotated[int, Field(ge=0)] | None = None


class Purse:
    """The money of one episode; branches of the episode share it.

    Args:
        total: Student tokens.
        training: Already spent on training.
        probes: Already spent on probes and branches.
    """

    def __init__(self, total: int, training: int = 0, probes: int = 0) -> None:
        self.total = total
        self.uses: dict[str, int] = {"training": training, "probes": probes}
        self._lock = threading.Lock()

    @property
    def spent(self) -> int:
        """Student tokens spent so far."""
        return sum(self.uses.values())

    @property
    def remaining(self) -> int:
        """Student tokens left; never negative."""
        return self.total - self.spent

    def pay(self, price: int, use: str) -> None:
        """Take ``price`` out of the purse for ``use`` (``training`` or ``probes``).

        Raises:
            BudgetSpent: If it does not hold that much; then nothing is taken.
            ValueError: If the price is negative.
        """
        if price < 0:
            raise ValueError(f"price is {price}; a price is never negative")
        with self._lock:
            if price > self.remaining:
                raise BudgetSpent(
                    f"the purse holds {self.remaining} student tokens and {price} were asked; stop or ask less"
                )
            self.uses[use] += price

    def refund(self, price: int, use: str) -> None:
        """Put back what ``pay`` took for something that did not happen."""
        with self._lock:
            self.uses[use] -= price


def price_per_update(recipe: Recipe, fresh: Sequence[int], earlier: Sequence[int]) -> int:
    """Student tokens of one update: forward and backward over a batch of mean length.

    Args:
        recipe: Gives batch and replay share.
        fresh: Tokens of each example of the lesson; not empty.
        earlier: Tokens of each replayed example; empty where nothing is replayed.
    """
    mean = sum(fresh) / len(fresh)
    share = recipe.replay if earlier else 0.0
    blended = (1 - share) * mean + (share * sum(earlier) / len(earlier) if earlier else 0.0)
    return FORWARD_BACKWARD * math.ceil(recipe.batch * blended - 1e-9)


def affordable_updates(recipe: Recipe, price: int, remaining: int) -> int:
    """How many of the recipe's updates the purse pays for."""
    return min(recipe.updates, remaining // price)
