"""Running programs that nobody trusts: ``judge(programs)`` gives the values that they return, or a reason.

Values come out and are compared outside: what is right never goes in. All inputs of a program are run in one process,
and a batch shares a few sandboxes that are kept. See ``docs/sandbox.md``.

    found = judge([Program("def add(a, b): return a + b", "add", [(1, 2), (3, 4)])])
    right = [same_value(value, expected) for value, expected in zip(found[0].values, [3, 7])]

A task that calls ``judge`` has an attribute ``sandbox``, which is ``in_force``, and its rows then say which one it was:

    class Programs(Task):
        sandbox = staticmethod(in_force)
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.sandbox.choice import chosen, in_force
from tasks.sandbox.encoding import same_value
from tasks.sandbox.records import (
    NoValue,
    Program,
    ProgramLimits,
    ProgramOutcome,
    Reason,
    RunsPrograms,
    Sandbox,
    SandboxError,
)

__all__ = [
    "NoValue",
    "Program",
    "ProgramLimits",
    "ProgramOutcome",
    "Reason",
    "RunsPrograms",
    "Sandbox",
    "SandboxError",
    "in_force",
    "judge",
    "judge_or_tell",
    "same_value",
]


def judge(
    programs: Sequence[Program], limits: ProgramLimits | None = None, sandbox: Sandbox | None = None
) -> list[ProgramOutcome]:
    """Run many programs, each apart from all others and with limits of its own.

    Args:
        programs: Any number; a whole exam in one call is the fastest.
        limits: Of each; by default ``ProgramLimits()``.
        sandbox: Where; by default the one that this machine's self-test chose.

    Returns:
        One outcome a program, in order. Nothing that a program does is raised.

    Raises:
        SandboxError: If this machine has no sandbox that holds.
        ValueError: If an input holds what is no plain value.
    """
    return (sandbox or chosen()).run(programs, limits or ProgramLimits())


def judge_or_tell(programs: Sequence[Program], limits: ProgramLimits | None = None) -> list[ProgramOutcome]:
    """Like ``judge``, for a checker, which never raises: without a sandbox each outcome has the reason ``sandbox``."""
    try:
        return judge(programs, limits) if programs else []
    except SandboxError as error:
        return [ProgramOutcome(reason="sandbox", detail=str(error))] * len(programs)
