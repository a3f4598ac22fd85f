"""The base of every error that a user can mend. It stands here, for every other package imports this one."""

from __future__ import annotations


class DataenvError(Exception):
    """What a user can mend. Its message is one sentence; the command line prints it and exits with 2."""


class UnsupportedError(DataenvError, NotImplementedError):
    """A task or student was asked for something that it does not have (a generator, a pool, an entropy …)."""


class SettingError(DataenvError, ValueError):
    """A Setting, a board file or a name is not usable."""


class UnansweredError(DataenvError, RuntimeError):
    """A server could not be asked: a teacher's language model, or what trains a student. Play the run again."""
