"""One purse of student compute. Training and probing draw on it, and what was asked is paid, cached or not.

The unit is the *student token*: one token going forward costs 1, forward and backward 3.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from weakref import WeakSet

from pydantic import Field

from dataenv.errors import BudgetSpentError
from dataenv.validation import shown
from tasks.records import Record, absent


class Budget(Record):
    """What an episode may spend.

    Attributes:
        student_tokens: The purse.
        examples: The most examples that may be kept over the episode; ``None`` for no cap.
        teacher_tokens: The most tokens that the teacher may spend on language models, prompts and replies together;
            ``None`` for no cap.
        money: The most money that it may spend on them, in the currency of its chat's prices; ``None`` for no cap.
    """

    student_tokens: Annotated[int, Field(ge=0)]
    examples: Annotated[int, Field(ge=0)] | None = None
    # Left out where there is no such cap: Settings without one keep the names that they had before there were any.
    teacher_tokens: Annotated[int, Field(ge=0)] | None = Field(default=None, exclude_if=absent)
    money: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(default=None, exclude_if=absent)


@dataclass(frozen=True, eq=False)
class Payment:
    """What was paid: the only thing that ``Purse.refund`` gives money back for, and once."""

    price: int
    use: str


class Purse:
    """The money of one episode; branches of the episode share it. Safe to use from many threads.

    ``spent + remaining + aside == total`` and ``0 <= spent <= total`` hold after every call; ``spent`` falls only when
    a payment is given back, and then by exactly its price.

    Args:
        total: Student tokens.
        training: Already spent on training.
        probes: Already spent on probes and branches.
        aside: Set aside, until it is released, part by part.
    """

    def __init__(self, total: int, training: int = 0, probes: int = 0, aside: int = 0) -> None:
        self._total, self._aside = total, min(aside, total - training - probes)
        self._uses: dict[str, int] = {"training": training, "probes": probes}
        self._payments: WeakSet[Payment] = WeakSet()  # those that somebody still holds
        self._lock = threading.Lock()
        self._closed = False

    @property
    def total(self) -> int:
        """Student tokens at the start."""
        return self._total

    @property
    def uses(self) -> dict[str, int]:
        """Student tokens spent so far, by use; a copy."""
        return dict(self._uses)

    @property
    def spent(self) -> int:
        """Student tokens spent so far."""
        return sum(self._uses.values())

    @property
    def remaining(self) -> int:
        """Student tokens left, those set aside apart; never negative."""
        return self._total - self._aside - self.spent

    @property
    def open(self) -> int:
        """Student tokens in all, those set aside apart."""
        return self._total - self._aside

    def release(self, tokens: int) -> None:
        """Let tokens that were set aside be spent."""
        self._aside = max(0, self._aside - tokens)

    def pay(self, price: int, use: str) -> Payment:
        """Take ``price`` out of the purse for ``use`` (``training`` or ``probes``).

        Raises:
            BudgetSpentError: If it does not hold that much; then nothing is taken.
            ValueError: If the price is no whole number, or negative.
        """
        price = _whole(price)
        with self._lock:
            self._must_be_open()
            if price > self.remaining:
                raise BudgetSpentError(
                    f"the purse holds {self.remaining} student tokens and {shown(price)} were asked; stop or ask less"
                )
            return self._take(price, use)

    def buy(self, totals: Sequence[int], use: str) -> tuple[int, Payment]:
        """As many things, in their order, as the purse pays for: how many, and their payment.

        Args:
            totals: What the first one costs, the first two together, and so on.
            use: ``training`` or ``probes``.

        Raises:
            BudgetSpentError: If the purse was closed.
            ValueError: If they are no whole numbers that rise from 1 on: what costs nothing could be had for ever.
        """
        before = 0
        for total in totals:
            if _whole(total) <= before:
                raise ValueError(
                    f"totals go from {shown(before)} to {shown(total)}; whatever is bought by number costs at least 1"
                )
            before = total
        with self._lock:
            self._must_be_open()
            count = bisect_right(totals, self.remaining)
            return count, self._take(totals[count - 1] if count else 0, use)

    def take(self, most: int, use: str) -> Payment:
        """So much, or all that is left where that is less.

        Raises:
            BudgetSpentError: If the purse was closed.
            ValueError: If it is no whole number, or negative.
        """
        most = _whole(most)
        with self._lock:
            self._must_be_open()
            return self._take(min(most, self.remaining), use)

    def refund(self, payment: Payment) -> None:
        """Put back what was paid for something that did not happen.

        Raises:
            ValueError: If this purse did not take the payment, or has given it back already.
        """
        with self._lock:
            self._redeem(payment)

    def settle(self, payment: Payment, price: int) -> Payment:
        """Give back what was paid beyond ``price``; what has been paid is then the payment that comes back.

        Raises:
            ValueError: If this purse did not take the payment, or the price is more than was paid.
        """
        price = _whole(price)
        if price > payment.price:
            raise ValueError(f"price is {price}, and {payment.price} were paid; set more aside beforehand")
        with self._lock:
            self._redeem(payment)
            return self._take(price, payment.use)

    def close(self) -> None:
        """Pay nothing any more: the episode is over."""
        with self._lock:
            self._closed = True

    def _redeem(self, payment: Payment) -> None:
        if payment not in self._payments:
            raise ValueError("payment is none that this purse still holds; a payment is given back once")
        self._payments.discard(payment)
        self._uses[payment.use] -= payment.price

    def _must_be_open(self) -> None:
        if self._closed:
            raise BudgetSpentError("the episode of this purse is over; fork the one that is taught now")

    def _take(self, price: int, use: str) -> Payment:
        self._uses[use] += price
        payment = Payment(price, use)
        self._payments.add(payment)
        return payment


def _whole(price: int) -> int:
    """The price, if it is a plain whole number: NaN passes every comparison, and a NumPy count wraps around to 0."""
    if type(price) is not int:
        raise ValueError(f"price is {shown(price)}; give a whole number of student tokens, a plain int")
    if price < 0:
        raise ValueError(f"price is {shown(price)}; a price is never negative")
    return price
