"""What is asked of a program, as ``check`` holds it: inputs, what must hold of its values, tests that run inside."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from tasks.records import Record, absent
from tasks.sandbox.encoding import decode, encode

LARGEST_TEST = 4 << 20
"""Parts of one test's arguments or of its value."""


class CodeCase(Record):
    """One test. What is right never enters the sandbox.

    Attributes:
        part: The part of the grade that it counts in, such as ``test 1`` or ``plus``.
        calls: The arguments of each call of the entry, coded (``tasks.sandbox.encoding``); for a script one call, whose
            only argument is the text of standard input.
        holds: What is true of the values ``v0``, ``v1`` … of these calls: an expression of ``code.expressions``. Empty
            where the one value is compared with that of the reference solution.
        output: In place of ``holds``: what a script has to print.
    """

    part: str
    calls: tuple[Any, ...]
    holds: str = Field(default="", exclude_if=lambda held: not held)
    output: str | None = Field(default=None, exclude_if=absent)


class CodeTests(Record):
    """All that is asked of a program.

    Attributes:
        entry: The function that is called, such as ``add`` or ``Solution().add``; empty where the program is a script.
        before: Code that stands before the program: imports and helper functions.
        completes: Whether ``before`` ends in the beginning of the entry, so that an answer may complete it.
        cases: Tests whose right values stay outside.
        inside: Tests that run beside the program, in the sandbox: Python texts that raise where it is wrong.
        reference: The reference solution, where a case is compared with its value.
        tolerance: By how much numbers may differ from those of the reference solution.
    """

    entry: str
    before: str = ""
    completes: bool = False
    cases: tuple[CodeCase, ...] = ()
    inside: tuple[str, ...] = ()
    reference: str = ""
    tolerance: float = 0.0

    @classmethod
    def read(cls, check: str | None) -> CodeTests | None:
        """What a ``check`` holds; ``None`` where it is of another form."""
        try:
            return None if check is None else cls.model_validate(json.loads(check), strict=False)
        except (ValueError, RecursionError):
            return None

    def arguments(self) -> list[list[Any]]:
        """The arguments of every call of every case, in order."""
        return [[decode(part) for part in call] for case in self.cases for call in case.calls]


def coded(arguments: list[Any] | tuple[Any, ...]) -> list[Any]:
    """The arguments of a call, as ``CodeCase.calls`` holds them.

    Raises:
        ValueError: If one of them is no plain value, or too large.
    """
    try:
        return [encode(argument, LARGEST_TEST) for argument in arguments]
    except (TypeError, OverflowError) as error:
        raise ValueError(f"a test is called with what is no plain value ({type(error).__name__} {error})") from None
