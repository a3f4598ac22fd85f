"""The purse of a chat: tokens and money, held before a request is sent and settled after."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from teachers.chat.spec import ChatSpec, Request

MICROS = 1_000_000
"""Money is counted in whole millionths, so that sums do not depend on their order."""


@dataclass(frozen=True)
class Cost:
    """Tokens and millionths of the currency."""

    tokens_in: int = 0
    tokens_out: int = 0
    micros: int = 0

    @property
    def tokens(self) -> int:
        """Prompts and replies together."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.micros + other.micros)


def price(spec: ChatSpec, tokens_in: int, tokens_out: int) -> Cost:
    """What some tokens cost: money for a million tokens is millionths for one. Parts of a millionth are rounded up."""
    exact = tokens_in * spec.price_in + tokens_out * spec.price_out
    return Cost(tokens_in, tokens_out, math.ceil(exact - 1e-6))


def most(spec: ChatSpec, request: Request) -> Cost:
    """The most that a request can cost."""
    return price(spec, request.most_in, request.limit)


class ChatPurse:
    """What may be spent on a chat. Safe to use from many threads.

    What is spent stays within the caps, as long as no server says that it used more tokens than it was allowed.

    Args:
        tokens: The most, prompts and replies together; ``None`` for no cap.
        money: The most, in the currency of the prices; ``None`` for no cap.
    """

    def __init__(self, tokens: int | None = None, money: float | None = None) -> None:
        self._tokens = tokens
        self._micros = None if money is None else math.floor(money * MICROS + 1e-6)
        self._held, self._spent = Cost(), Cost()
        self._lock = threading.Lock()

    @property
    def spent(self) -> Cost:
        """What was spent so far."""
        return self._spent

    def fits(self, cost: Cost) -> bool:
        """Whether this much is left."""
        wanted = self._held + self._spent + cost
        return (self._tokens is None or wanted.tokens <= self._tokens) and (
            self._micros is None or wanted.micros <= self._micros
        )

    def hold(self, cost: Cost) -> bool:
        """Set something aside, if there is as much; whether there was."""
        with self._lock:
            if not self.fits(cost):
                return False
            self._held += cost
            return True

    def settle(self, held: Cost, spent: Cost) -> None:
        """Let go of what was held, and pay what was spent of it."""
        with self._lock:
            self._held += Cost(-held.tokens_in, -held.tokens_out, -held.micros)
            self._spent += spent
