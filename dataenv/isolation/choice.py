"""Which teachers are run in a process of their own: those from outside this project, all, or none."""

from __future__ import annotations

import logging
import os
from typing import Any, Literal, get_args

from dataenv import registry
from dataenv.errors import SettingError
from tasks.sandbox.choice import chosen
from tasks.sandbox.records import SandboxError

log = logging.getLogger(__name__)
Who = Literal["outside", "all", "none"]
VARIABLE = "DATAENV_ISOLATED"
"""The environment variable that says so; the workers of a command read it too."""


def who() -> Who:
    """Who is isolated; none, unless a command or ``$DATAENV_ISOLATED`` says so.

    Raises:
        SettingError: If that is another word.
    """
    said = os.environ.get(VARIABLE) or "none"
    return said_by(said, f"${VARIABLE}")


def said_by(said: str, where: str) -> Who:
    """A word as one of the three.

    Raises:
        SettingError: If it is none of them.
    """
    found: Any = said
    if said not in get_args(Who):
        raise SettingError(f"{where} is {said[:60]!r}; give {', '.join(get_args(Who))}")
    return found  # type: ignore[no-any-return]


def isolated(name: str) -> bool:
    """Whether the teacher of a name is run in a process of its own.

    An object that this process has registered cannot be: it is here already.

    Raises:
        SettingError: If all shall be, and this machine has no sandbox.
    """
    wanted = who()
    if wanted == "none" or registry.is_object("teacher", name):
        return False
    if wanted == "outside" and name in registry.TEACHERS:
        return False
    try:
        chosen()
    except SandboxError as error:
        if wanted == "all":
            raise SettingError(f"no teacher can be isolated here: {error}") from error
        log.warning("teacher %s is run without isolation: %s", name, error)
        return False
    return True
