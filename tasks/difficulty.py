"""How difficult an item of a pool is, where the task's authors say so: for teachers that take hard ones alone."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tasks.base import Task


@runtime_checkable
class TellsDifficulty(Protocol):
    """A task that knows how difficult its items are, those that it may teach too."""

    def difficulty(self, prompt: str) -> float | None:
        """Of an item by what it asks, in [0, 1]; ``None`` where nobody says."""


def difficulty_of(task: Task, prompt: str) -> float | None:
    """The difficulty of an item, in [0, 1], 0 the easiest; ``None`` where the task does not say."""
    return task.difficulty(prompt) if isinstance(task, TellsDifficulty) else None
