"""What may be asked of an episode from outside: the methods of a ``Context`` by name, and branches by number.

Nothing else of the episode can be reached through it: no attribute, no environment, no store. An agent behind a server
and a teacher in a process of its own ask at the same desk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dataenv.errors import DataenvError, SettingError, did_you_mean

ASKED = (
    "pool",
    "difficulties",
    "generate",
    "subskills",
    "diagnose",
    "describe",
    "same",
    "readable",
    "probe",
    "sample",
    "feedback_answers",
    "trial",
)
"""Methods of ``dataenv.episode.context.Context`` that can be called from outside. Their own docstrings hold."""
MOST_BRANCHES = 64
"""Branches that are open at a time."""


class Branch(Protocol):
    """What is done with a branch: a ``TeachingEnv``."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Teach it a lesson."""

    def close(self) -> None:
        """Let go of it."""


class ContextDesk:
    """Answers questions about one episode.

    Args:
        context: Of the episode.
        made: Branches of episodes before it; theirs are numbers that this one does not give.

    Attributes:
        made: Branches so far.
    """

    def __init__(self, context: Any, made: int = 0) -> None:
        self._context, self.made = context, made
        self._branches: dict[int, Branch] = {}

    def ask(self, name: str, given: Mapping[str, Any]) -> Any:
        """Call a method of the context.

        Args:
            name: One of ``ASKED``.
            given: Its arguments by name.

        Raises:
            SettingError: If there is no such method, or the arguments do not fit.
            BudgetSpentError: If the purse cannot pay.
        """
        if name not in ASKED:
            raise SettingError(f"{str(name)[:60]!r} is nothing that a teacher can ask; {did_you_mean(name, ASKED)}")
        return getattr(self._context, name)(**given)

    def fork(self) -> int:
        """A branch of the episode, paid from its purse; its number.

        Raises:
            SettingError: If too many are open.
        """
        if len(self._branches) >= MOST_BRANCHES:
            raise SettingError(f"{MOST_BRANCHES} branches are open, which is the most; stop one before you fork again")
        self.made += 1
        self._branches[self.made] = self._context.fork()
        return self.made

    def branch(self, number: int) -> Any:
        """A branch that is open.

        Raises:
            SettingError: If none of this number is.
        """
        if number not in self._branches:
            raise SettingError(f"branch {number} is not open; open: {', '.join(map(str, self._branches)) or 'none'}")
        return self._branches[number]

    def leave(self, number: int) -> None:
        """Close a branch."""
        self.branch(number).close()
        del self._branches[number]

    def try_lessons(self, actions: Sequence[Any]) -> list[Any]:
        """See ``Context.try_lessons``."""
        if len(actions) > MOST_BRANCHES:
            raise SettingError(f"{len(actions)} lessons are tried at once; give {MOST_BRANCHES} at the most")
        found: list[Any] = self._context.try_lessons(actions)
        return found

    def close(self) -> None:
        """Close all branches: the episode is over."""
        for number in list(self._branches):
            self.leave(number)


def require_open(ended: str) -> None:
    """Refuse a question about an episode that is over.

    Raises:
        DataenvError: If it is.
    """
    if ended:
        raise DataenvError(f"the episode has ended ({ended}); look still tells how, and nothing else can be asked")
