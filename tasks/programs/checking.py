"""Checking: whether programs give what a description asks for, many at once and in the sandbox."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tasks.programs.derivation import Derivation
from tasks.programs.responses import ReadProgram, read_program
from tasks.programs.values import Value, inputs
from tasks.records import stream
from tasks.sandbox import NoValue, Program, ProgramLimits, ProgramOutcome, judge_or_tell, same_value

LIMITS = ProgramLimits(cpu=1.0, wall=10.0, memory=256 << 20, output=64 << 10)
"""Of one program on all of its inputs. The longest value of a right one has a few hundred letters."""
REMEMBERED = 20_000
"""Outcomes that are kept: an exam's diagnosis asks again what its grading asked."""
LEAST_VALUES = 5
"""Inputs that a problem's own program must give values of."""
MOST_TESTS = 100
"""Tests of an example from outside."""


@lru_cache(maxsize=16384)
def hidden(derivation: Derivation) -> tuple[tuple[Value, Value], ...]:
    """The inputs that a program is checked on, with their values by the derivation; always the same."""
    rng = stream(0, f"inputs {derivation.describe('compact')}")
    return tuple(derivation.values(inputs(derivation.letter, derivation.constants, rng)))


@dataclass(frozen=True)
class Verdict:
    """What is known of a response.

    Attributes:
        correct: Whether it is right on every input.
        right: Of each input whether its value is right; empty where nothing was run.
        values: Of each input what the program gave; ``NoValue`` or nothing where it gave none.
        reason: Why it is wrong or not checked, where that is no value.
        failed: Whether the sandbox failed, so that nothing is known.
    """

    correct: bool = False
    right: tuple[bool, ...] = ()
    values: tuple[object, ...] = ()
    reason: str = ""
    failed: bool = False


@dataclass(frozen=True)
class CallTests:
    """Tests that an example brings along (``Example.check``).

    Attributes:
        arguments: Of each call, as JSON.
        values: What each call has to give, as JSON.
    """

    arguments: str
    values: str

    @classmethod
    def read(cls, check: str | None) -> CallTests | None:
        """``{"tests": [{"args": [...], "value": ...}, ...]}``; ``None`` for anything else."""
        held = json.loads(check) if check is not None else None
        rows = held.get("tests") if isinstance(held, dict) else None
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST_TESTS:
            return None
        if not all(isinstance(row, dict) and isinstance(row.get("args"), list) and "value" in row for row in rows):
            return None
        return cls(json.dumps([row["args"] for row in rows]), json.dumps([row["value"] for row in rows]))

    def calls(self) -> list[tuple[list[Any], Any]]:
        """Arguments and value of each call."""
        return list(zip(json.loads(self.arguments), json.loads(self.values), strict=True))


Wanted = Derivation | CallTests
"""What a program has to give."""


def pairs(wanted: Wanted) -> list[tuple[list[Any], Any]]:
    """The arguments of each call with the value it has to give."""
    if isinstance(wanted, CallTests):
        return wanted.calls()
    return [([given], value) for given, value in hidden(wanted)]


class ProgramChecker:
    """Checks responses in batches, and remembers what programs gave. Safe to use from many threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[ReadProgram, Wanted], ProgramOutcome] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, asked: Sequence[tuple[Wanted, str]]) -> list[Verdict]:
        """One verdict a response. What is the reference program, to the letter but for its form, is right unrun."""
        read = [(read_program(response, _letter(wanted)), wanted) for wanted, response in asked]
        outcomes = self.outcomes([(p, wanted) for p, wanted in read if p is not None and not _is_reference(p, wanted)])
        return [_verdict(program, wanted, outcomes) for program, wanted in read]

    def outcomes(self, asked: Sequence[tuple[ReadProgram, Wanted]]) -> dict[tuple[ReadProgram, Wanted], ProgramOutcome]:
        """What programs give where something is wanted of them; one run for all that are not known."""
        wanted = dict.fromkeys(asked)
        with self._lock:
            found = {key: self._known[key] for key in wanted if key in self._known}
        new = [key for key in wanted if key not in found]
        if new:
            asking = [Program(p.code, p.entry, [arguments for arguments, _ in pairs(goal)]) for p, goal in new]
            ran = judge_or_tell(asking, LIMITS)
            found |= dict(zip(new, ran, strict=True))
            with self._lock:
                self._known.update((key, found[key]) for key in new if found[key].reason != "sandbox")
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return found


def alike(one: ProgramOutcome, other: ProgramOutcome) -> bool:
    """Whether two programs gave the same values of all inputs; not where either gave none of some."""
    if one.reason is not None or other.reason is not None:
        return False
    return all(not isinstance(a, NoValue) and same_value(a, b) for a, b in zip(one.values, other.values, strict=True))


def _letter(wanted: Wanted) -> str:
    return wanted.letter if isinstance(wanted, Derivation) else "v"


def _is_reference(program: ReadProgram, wanted: Wanted) -> bool:
    if program.body is None or not isinstance(wanted, Derivation):
        return False
    reference = read_program(wanted.code, wanted.letter)
    return reference is not None and program.body == reference.body


def _verdict(
    program: ReadProgram | None, wanted: Wanted, outcomes: dict[tuple[ReadProgram, Wanted], ProgramOutcome]
) -> Verdict:
    if program is None:
        return Verdict(reason="it is no Python expression and defines no function")
    if _is_reference(program, wanted):
        return Verdict(correct=True)
    values = [value for _, value in pairs(wanted)]
    outcome = outcomes[program, wanted]
    if outcome.reason == "sandbox":
        return Verdict(reason=f"not checked: {outcome.detail}", failed=True)
    got = outcome.values[: len(values)]
    right = tuple(same_value(a, b) for a, b in zip(got, values, strict=False))
    correct = len(right) == len(values) > 0 and all(right)
    return Verdict(correct, right + (False,) * (len(values) - len(right)), got, outcome.reason or "")
