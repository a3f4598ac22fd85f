"""What a teacher pays for language models: tokens and money, set aside before a request is sent and settled after.

An episode has one such purse, whose caps are the Setting's; a chat has another within it, with the caps of its own
settings. What is asked is paid, stored or not, so a run that is resumed pays as one that was never stopped.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from dataenv.validation import shown

MICROS = 1_000_000
"""Money is counted in whole millionths, so that sums do not depend on their order."""

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Cost:
    """Tokens and millionths of the currency."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    tokens_in: Count = 0
    tokens_out: Count = 0
    micros: Count = 0

    @property
    def tokens(self) -> int:
        """Prompts and replies together."""
        return self.tokens_in + self.tokens_out

    @property
    def money(self) -> float:
        """In the currency of the prices."""
        return self.micros / MICROS

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.micros + other.micros)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.tokens_in - other.tokens_in, self.tokens_out - other.tokens_out, self.micros - other.micros)


class TeacherPurse:
    """What may be spent on language models; branches of an episode share it. Safe to use from many threads.

    Nothing is set aside beyond the caps, so what is spent stays within them, as long as no server says that it used
    more tokens than it was allowed. What is spent never falls.

    Args:
        tokens: The most, prompts and replies together; ``None`` for no cap.
        money: The most, in the currency of the prices; ``None`` for no cap.
        spent: Already.
        within: A purse that pays as well, and has to have as much.

    Attributes:
        replies: Counts of all requests by outcome (``docs/chat.md``).
        last: The same of what was asked together last.
    """

    def __init__(
        self,
        tokens: int | None = None,
        money: float | None = None,
        spent: Cost = Cost(),
        within: TeacherPurse | None = None,
    ) -> None:
        self._tokens = tokens
        self._micros = None if money is None else math.floor(money * MICROS + 1e-6)
        self._held, self._spent, self._within = Cost(), spent, within
        self._lock = threading.Lock()
        self._closed = False
        self.replies, self.last = Counter[str](), Counter[str]()

    @property
    def spent(self) -> Cost:
        """What was spent so far."""
        return self._spent

    @property
    def tokens_left(self) -> int | None:
        """Tokens left of the cap, never negative; ``None`` where there is no cap."""
        return None if self._tokens is None else max(0, self._tokens - self._spent.tokens)

    @property
    def money_left(self) -> float | None:
        """Money left of the cap, never negative; ``None`` where there is no cap."""
        return None if self._micros is None else max(0, self._micros - self._spent.micros) / MICROS

    def hold(self, cost: Cost) -> bool:
        """Set something aside, if there is as much; whether there was.

        Raises:
            ValueError: If it holds what is no count.
        """
        _counts(cost)
        with self._lock:
            if not self._fits(self._held + self._spent + cost):
                return False
            if self._within is not None and not self._within.hold(cost):
                return False
            self._held += cost
            return True

    def settle(self, held: Cost, spent: Cost) -> None:
        """Let go of what was set aside, and pay what was spent of it.

        Raises:
            ValueError: If either holds what is no count, or more would be let go than was set aside.
        """
        _counts(held)
        _counts(spent)
        with self._lock:
            _counts(self._held - held)
            self._held -= held
            self._spent += spent
        if self._within is not None:
            self._within.settle(held, spent)

    def note(self, outcomes: Sequence[str]) -> None:
        """Count the outcomes of requests that were made together."""
        with self._lock:
            self.last = Counter(outcomes)
            self.replies.update(self.last)
        if self._within is not None:
            self._within.note(outcomes)

    def branch(self) -> TeacherPurse:
        """A purse of its own for an episode that leaves: equal caps, as much spent, nothing set aside."""
        money = None if self._micros is None else self._micros / MICROS
        return TeacherPurse(self._tokens, money, self._spent)

    def close(self) -> None:
        """Set nothing aside any more: the episode is over."""
        with self._lock:
            self._closed = True

    def _fits(self, wanted: Cost) -> bool:
        within_tokens = self._tokens is None or wanted.tokens <= self._tokens
        within_money = self._micros is None or wanted.micros <= self._micros
        return not self._closed and within_tokens and within_money


def _counts(cost: Cost) -> None:
    """Refuse what would give money back, or counts that wrap around."""
    for name, value in (("tokens_in", cost.tokens_in), ("tokens_out", cost.tokens_out), ("micros", cost.micros)):
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} is {shown(value)}; give a whole number of at least 0, a plain int")
