"""Errors that a user can mend. Each message is one sentence that names the field and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tasks.errors import DataenvError, SettingError, UnansweredError, UnsupportedError

__all__ = [
    "ActionError",
    "BudgetSpentError",
    "DataenvError",
    "JobFailedError",
    "RefusedError",
    "SettingError",
    "SnapshotError",
    "StoreError",
    "TeacherFailedError",
    "UnansweredError",
    "UnsupportedError",
    "did_you_mean",
    "nearest",
]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is written most like a given one; ``None`` where none is like it."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """What a sentence about an unknown name ends in: the nearest one that there is, or all of them.

    Args:
        name: As it was given.
        known: The names that there are.
        otherwise: The end of the sentence where no name is near, in place of the list of all.
    """
    there = list(known)
    near = nearest(name, there)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"known: {', '.join(there) or 'none'}." if otherwise is None else otherwise


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


class TeacherFailedError(DataenvError, RuntimeError):
    """A teacher asked the interpreter to end, did what it may not, or was not done in time; its run has failed."""


class JobFailedError(DataenvError, RuntimeError):
    """A training run ended without a student (diverged, killed too often)."""
