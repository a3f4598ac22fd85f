"""The context of a teacher that is in a process of its own: every question goes to the driver, and is paid there.

A teacher finds the names of ``dataenv.episode.context.Context`` here, and behind them a pipe.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from dataenv.budget.teacher import Cost
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import BudgetView, Context
from dataenv.errors import UnsupportedError
from dataenv.isolation.desk import ASKED
from tasks.records import Example

AskDriver = Callable[[str, dict[str, Any]], Any]


class DistantBudget(BudgetView):
    """The purse as the last message from the driver told of it: nothing is paid between two messages."""

    def __init__(self, prices: Sequence[int]) -> None:
        self.step_price, self.example_price, self.answer_price = prices
        self.live: Sequence[int] = (0, 0, 0, 0)

    @property
    def total(self) -> int:
        """See BudgetView."""
        return self.live[0]

    @property
    def spent(self) -> int:
        """See BudgetView."""
        return self.live[1]

    @property
    def remaining(self) -> int:
        """See BudgetView."""
        return self.live[2]


class DistantChats:
    """Where a chat finds replies: the driver asks, keeps and pays; see ``teachers.chat.records.Answering``."""

    def __init__(self, ask: AskDriver) -> None:
        self._ask = ask

    def said(self, number: int, spec: Mapping[str, Any], asks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Replies to some requests, unread."""
        replies: list[dict[str, Any]] = self._ask("chat", {"number": number, "spec": dict(spec), "asks": list(asks)})
        return replies

    def get(self, key: str) -> Any:
        """No stored reply is shown: whoever wants one asks, and pays."""
        raise UnsupportedError("stored replies are the driver's; ask through teachers.chat.Chat")

    def put(self, key: str, record: Any) -> Any:
        """Nothing is stored from outside."""
        raise UnsupportedError("stored replies are the driver's; ask through teachers.chat.Chat")


class DistantPurse:
    """What may be spent on language models is the driver's to know: here outcomes are counted."""

    def __init__(self, ask: AskDriver) -> None:
        self._ask = ask

    def hold(self, cost: Cost) -> bool:
        """The driver sets aside what a request may cost."""
        return True

    def settle(self, held: Cost, spent: Cost) -> None:
        """The driver has paid."""

    def note(self, outcomes: Sequence[str]) -> None:
        """Count the outcomes of requests that were made together."""
        self._ask("note", {"outcomes": list(outcomes)})


class DistantBranch:
    """A branch of the episode: lessons on it change nothing there, and are paid from the same purse."""

    def __init__(self, number: int, ask: AskDriver) -> None:
        self._number, self._ask = number, ask

    def step(self, action: Any) -> Any:
        """See ``TeachingEnv.step``."""
        return self._ask("step", {"branch": self._number, "action": action})

    def close(self) -> None:
        """Let go of it."""
        self._ask("leave", {"branch": self._number})


class DistantContext(Context):
    """A ``Context`` whose methods ask the driver.

    Args:
        given: What ``dataenv.isolation.teacher.IsolatedTeacher.begin`` sends.
        ask: Asks the driver.
    """

    def __init__(self, given: Mapping[str, Any], ask: AskDriver) -> None:
        self.skills, self.targets, self.level = given["skills"], given["targets"], given["level"]
        self.lesson_size, self.order, self._ask = given["lesson_size"], given["order"], ask
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = given["rng"]
        self.budget = DistantBudget(given["prices"])
        self.chats: Any = DistantChats(ask)
        self.teacher_purse: Any = DistantPurse(ask)
        self._pool: Sequence[Example] | None = None

    @property
    def step(self) -> int:
        """See Context."""
        live: Sequence[int] = self.budget.live  # type: ignore[attr-defined]
        return live[3]

    def pool(self) -> Sequence[Example]:
        """See Context. It is fetched once."""
        if self._pool is None:
            self._pool = self._ask("pool", {})
        return self._pool

    def try_lessons(self, actions: Sequence[Any]) -> Any:
        """See Context."""
        return self._ask("try_lessons", {"actions": list(actions)})

    def fork(self) -> TeachingEnv:
        """See Context; a branch here has ``step`` and ``close`` alone."""
        branch: Any = DistantBranch(self._ask("fork", {}), self._ask)
        return branch  # type: ignore[no-any-return]


def _asking(name: str) -> Callable[..., Any]:
    """A method that sends its arguments by name."""

    def method(self: Any, *given: Any, **named: Any) -> Any:
        bound = _signature(name).bind(self, *given, **named).arguments
        return self._ask(name, {key: _sendable(value) for key, value in bound.items() if key != "self"})

    method.__name__, method.__doc__ = name, getattr(Context, name).__doc__
    return method


@cache
def _signature(name: str) -> inspect.Signature:
    return inspect.signature(getattr(Context, name))


def _sendable(value: Any) -> Any:
    """Sequences of a teacher's own making, such as columns of examples, as lists."""
    plain = isinstance(value, str | bytes | list | tuple | Mapping | np.ndarray) or not isinstance(value, Sequence)
    return value if plain else list(value)


for _name in ASKED:
    if _name != "pool":
        setattr(DistantContext, _name, _asking(_name))
