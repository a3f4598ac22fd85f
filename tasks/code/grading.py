"""Grading: many answers to questions about code, run in one call of the sandbox and compared outside of it."""

from __future__ import annotations

import ast
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from tasks.code.comparing import near, same_output
from tasks.code.expressions import compute
from tasks.code.records import CodeCase, CodeTests
from tasks.code.responses import program_text
from tasks.records import Grade, digest
from tasks.sandbox import NoValue, Program, ProgramLimits, ProgramOutcome, judge_or_tell

SECONDS = 5.0
"""Of computing, for one program on all inputs of its tests."""
OUTPUT = 4 << 20
"""Bytes of a program's encoded values."""
INSIDE = "inside"
"""The part of a grade that tests beside the program decide."""
# The test texts see what a function returns only as plain values, so no object of the program's own is compared there.
_HARNESS = """

def _dataenv_judge(number, token, _plain=(bool, int, float, complex, str, bytes, type(None)), _type=type):
    def plain(value):
        kind = _type(value)
        if kind in (list, tuple, set, frozenset):
            return kind([plain(item) for item in value])
        if kind is dict:
            return {{plain(key): plain(item) for key, item in value.items()}}
        if kind not in _plain:
            raise TypeError("no plain value")
        return value
    names = dict(globals())
    names[{name!r}] = names["candidate"] = lambda *args, **named: plain({entry}(*args, **named))
    exec({texts!r}[number], names)
    return token
"""


@dataclass
class CodeVerdict:
    """What is known of one answer.

    Attributes:
        grade: As the task gives it.
        reason: Why it is wrong where no value says so: empty, or such as ``cpu`` or ``no program``.
        failed: The first part that is wrong; empty where none is.
        detail: What the first wrong value is: untrusted text.
    """

    grade: Grade
    reason: str = ""
    failed: str = ""
    detail: str = ""


@dataclass
class _Runs:
    """Programs of one batch, each only once."""

    programs: list[Program] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, program: Program) -> int:
        """Where its outcome will be."""
        if name not in self.places:
            self.places[name] = len(self.programs)
            self.programs.append(program)
        return self.places[name]


class CodeGrader:
    """Grades answers in batches. Safe to use from many threads.

    Args:
        seconds: Of computing, for one program on all inputs of its tests.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._limits = ProgramLimits(cpu=seconds, wall=max(30.0, 10 * seconds), output=OUTPUT)
        self._expected: dict[str, tuple[object, ...]] = {}

    def grades(self, asked: Sequence[tuple[CodeTests, str]]) -> list[Grade]:
        """One grade an answer, in order. All programs of the batch are run in one call of the sandbox."""
        return [verdict.grade for verdict in self.verdicts(asked)]

    def verdicts(self, asked: Sequence[tuple[CodeTests, str]]) -> list[CodeVerdict]:
        """Like ``grades``, with the reasons."""
        token, runs, plans = secrets.token_hex(16), _Runs(), list[tuple[int, int, int] | None]()
        for tests, response in asked:
            text = program_text(response, tests.entry, tests.before, tests.completes)
            plans.append(None if text is None else self._planned(runs, tests, text, token))
        outcomes = judge_or_tell(runs.programs, self._limits)
        return [
            CodeVerdict(_wrong(tests), "no program") if plan is None else self._verdict(tests, plan, outcomes, token)
            for (tests, _), plan in zip(asked, plans, strict=True)
        ]

    def _planned(self, runs: _Runs, tests: CodeTests, text: str, token: str) -> tuple[int, int, int]:
        """Where the outcomes will be of the cases, of the tests inside, and of the reference; -1 for none."""
        name, outer, inner, reference = _name(tests), -1, -1, -1
        if tests.cases:
            outer = runs.add(f"{name} {text}", _called(tests, text))
            if tests.reference and name not in self._expected:
                reference = runs.add(f"{name} reference", _called(tests, tests.reference))
        if tests.inside:
            callee = tests.entry.rpartition(".")[2]
            code = text + _HARNESS.format(name=callee, entry=tests.entry, texts=[*tests.inside])
            inner = runs.add(
                f"{name} inside {text}",
                Program(code, "_dataenv_judge", [(number, token) for number in range(len(tests.inside))]),
            )
        return outer, inner, reference

    def _verdict(
        self, tests: CodeTests, plan: tuple[int, int, int], outcomes: Sequence[ProgramOutcome], token: str
    ) -> CodeVerdict:
        found = [None if place < 0 else outcomes[place] for place in plan]
        for outcome in filter(None, found):
            if outcome.reason == "sandbox":
                grade = Grade(correct=False, error=f"not checked: {outcome.detail or 'the sandbox failed'}")
                return CodeVerdict(grade, "sandbox")
        outer, inner, reference = found
        if reference is not None:
            self._expected[_name(tests)] = reference.values
        verdict = CodeVerdict(_wrong(tests))
        right: dict[str, bool] = {}
        if outer is not None:
            self._compare(tests, outer, right, verdict)
        if inner is not None:
            tokens = [value == token for value in inner.values]
            right[INSIDE] = len(tokens) == len(tests.inside) and all(tokens)
            if not right[INSIDE]:
                _blame(verdict, INSIDE, inner, next((v for v in inner.values if v != token), None))
        verdict.grade = Grade(correct=bool(right) and all(right.values()), parts=right or None)
        return verdict

    def _compare(self, tests: CodeTests, outcome: ProgramOutcome, right: dict[str, bool], verdict: CodeVerdict) -> None:
        """Each case's values with what must hold of them."""
        expected, at = self._expected.get(_name(tests), ()), 0
        for case in tests.cases:
            values = outcome.values[at : at + len(case.calls)]
            wanted = expected[at] if at < len(expected) else NoValue("raised", "")
            at += len(case.calls)
            fine = len(values) == len(case.calls) and holds(case, values, wanted, tests.tolerance)
            right[case.part] = right.get(case.part, True) and fine
            if not fine and not verdict.failed:
                _blame(verdict, case.part, outcome, values[0] if values else None)


def _blame(verdict: CodeVerdict, part: str, outcome: ProgramOutcome, value: object) -> None:
    """Keep what went wrong first."""
    verdict.failed, verdict.reason = part, verdict.reason or outcome.reason or ""
    said = f"{value.reason} {value.detail}" if isinstance(value, NoValue) else repr(value)
    verdict.detail = (outcome.detail if outcome.reason else said)[:200]


def _name(tests: CodeTests) -> str:
    return _digest(tests.model_dump_json())


@lru_cache(maxsize=4096)
def _digest(text: str) -> str:
    return digest(text)


def _wrong(tests: CodeTests) -> Grade:
    parts = dict.fromkeys([case.part for case in tests.cases] + [INSIDE] * bool(tests.inside), False)
    return Grade(correct=False, parts=parts or None)


def _called(tests: CodeTests, text: str) -> Program:
    """A program with the inputs of all cases."""
    if not tests.entry:
        return Program(text, None, tests.arguments())
    if tests.entry.isidentifier():
        return Program(text, tests.entry, tests.arguments())
    code = f"{text}\n\ndef _dataenv_entry(*args):\n    return {tests.entry}(*args)\n"
    return Program(code, "_dataenv_entry", tests.arguments())


def holds(case: CodeCase, values: Sequence[object], expected: object = None, tolerance: float = 0.0) -> bool:
    """Whether a case's values are right.

    Args:
        case: The case.
        values: Of its calls: plain values, or ``NoValue``.
        expected: The value of the reference solution, where the case names none itself.
        tolerance: See ``CodeTests``.
    """
    if any(isinstance(value, NoValue) for value in values):
        return False
    if case.output is not None:
        return isinstance(values[0], str) and same_output(values[0], case.output)
    if not case.holds:
        return not isinstance(expected, NoValue) and near(values[0], expected, tolerance)
    try:
        return bool(compute(_expression(case.holds), {f"v{i}": value for i, value in enumerate(values)}))
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, MemoryError):
        return False  # the values do not suit: the assert itself would have raised


@lru_cache(maxsize=8192)
def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
