"""Errors that a user can mend. Each message is one sentence that names the field and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tasks.errors import DataenvError, UnsupportedError

__all__ = [
    "ActionError",
    "BudgetSpentError",
    "DataenvError",
    "JobFailedError",
    "RefusedError",
    "SettingError",
    "SnapshotError",
    "StoreError",
    "UnansweredError",
    "UnsupportedError",
    "did_you_mean",
]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What a sentence about an unknown name ends in: the nearest one that there is, or all of them.

    Args:
        name: As it was given.
        known: The names that there are.
    """
    there = list(known)
    near = difflib.get_close_matches(name, there, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(there) or 'none'}."


class SettingError(DataenvError, ValueError):
    """A Setting, a board file or a name is not usable."""


class RefusedError(SettingError):
    """Something that was to be probed would not pass the screen; the question was charged, and nothing was answered."""


class ActionError(DataenvError, ValueError):
    """An action has the wrong type or shape, or holds NaN; nothing was charged and nothing changed."""


class SnapshotError(DataenvError, ValueError):
    """A snapshot cannot be restored here."""


class StoreError(DataenvError, OSError):
    """The store cannot be read or written; what was committed is kept."""


class BudgetSpentError(DataenvError):
    """The purse cannot pay for a probe or a branch; nothing was charged."""


class UnansweredError(DataenvError, RuntimeError):
    """Nobody could be asked what a teacher asked of its language model; the run is to be made again."""


class JobFailedError(DataenvError, RuntimeError):
    """A training run ended without a student (diverged, killed too often)."""
