"""Checking in the sandbox: other right programs, wrong ones by one input, and what harms nobody."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

import tasks.sandbox
from tasks.programs import checking
from tasks.programs.checking import CallTests, ProgramChecker, Verdict, hidden
from tasks.programs.derivation import Derivation, read
from tasks.programs.values import inputs
from tasks.records import stream
from tasks.sandbox import Program, ProgramLimits, ProgramOutcome, SandboxError


def asked(prompt: str) -> Derivation:
    derivation = read(prompt)
    assert derivation is not None
    return derivation


def verdict(prompt: str, response: str) -> Verdict:
    return ProgramChecker().check([(asked(prompt), response)])[0]


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ("v: keep x>3; each x*2; sum=", "2*sum(filter(lambda x:x>3,v))"),
        ("v: sort; first 2=", "sorted(v)[0:2]"),
        ("n: f(0)=2, f(n)=f(n-1)+3=", "2+3*n"),
        ("n: f(0)=2, f(n)=f(n-1)+3=", "def f(n):\n    return 2 if n == 0 else f(n - 1) + 3"),
        ("d: get k or 7=", "d['k'] if 'k' in d else 7"),
        ("v: dict x to x*3=", "dict((y,3*y) for y in v)"),
        ("s: replace a by b=", "''.join('b' if c=='a' else c for c in s)"),
    ],
)
def test_other_right_programs_are_right(prompt: str, response: str) -> None:
    assert verdict(prompt, response).correct


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ("v: keep x>23=", "[x for x in v if x>=23]"),
        ("n: if n>17 n*2 else n+3=", "n*2 if n>=17 else n+3"),
        ("v: first 3=", "tuple(v[:3])"),  # another type
        ("v: sum; plus 4=", "sum(v)+4.0"),
        ("v: first 3=", "v[:4]"),
        ("v: first 3=", "w[:3]"),  # no such name
        ("v: first 3=", "print(v)"),
    ],
)
def test_wrong_programs_fail_on_some_input(prompt: str, response: str) -> None:
    found = verdict(prompt, response)
    assert not found.correct
    assert not found.failed
    assert len(found.right) == len(hidden(asked(prompt)))


@pytest.mark.usefixtures("needs_sandbox")
def test_a_batch_with_hostile_programs_does_not_harm_the_others() -> None:
    hostile = [
        "f(v)",  # recursion without end
        "[0]*10**12",
        "[i for i in iter(int,1)]",  # without end
        "__import__('os').system('touch /tmp/harm')",
        "open('/etc/passwd').read()",
        "__import__('os')._exit(0)",
        "type('A',(),{'__eq__':lambda a,b:True})()",
        "float('nan')",
        "9**9**9",
    ]
    right = "v[0:3]"
    prompt = asked("v: first 3=")
    found = ProgramChecker().check([(prompt, text) for text in [right, *hostile, right]])
    assert [v.correct for v in found] == [True, *[False] * len(hostile), True]
    assert not any(v.failed for v in found)


def test_the_reference_is_right_without_being_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise AssertionError("something was run")

    monkeypatch.setattr(tasks.sandbox, "judge", none)
    assert verdict("v: keep x>3; sum=", "sum( x for x in v if x > 3 )").correct
    assert verdict("v: keep x>3; sum=", "sum(").reason == "it is no Python expression and defines no function"


def test_without_a_sandbox_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise SandboxError("no sandbox holds on this machine")

    monkeypatch.setattr(tasks.sandbox, "judge", none)
    found = verdict("v: first 3=", "v[0:3]")
    assert found.failed
    assert found.reason == "not checked: no sandbox holds on this machine"


@pytest.mark.usefixtures("needs_sandbox")
def test_what_was_run_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    checker, calls = ProgramChecker(), list[int]()
    run = checking.judge_or_tell

    def counted(programs: Sequence[Program], limits: ProgramLimits) -> list[ProgramOutcome]:
        calls.append(len(programs))
        return run(programs, limits)

    monkeypatch.setattr(checking, "judge_or_tell", counted)
    batch = [(asked("v: first 3="), text) for text in ("v[0:3]", "v[0:4]", "v[0:3]")]
    first = checker.check(batch)
    assert checker.check(batch) == first
    assert calls == [2]


@pytest.mark.usefixtures("needs_sandbox")
def test_tests_of_an_example_are_run() -> None:
    tests = CallTests.read(json.dumps({"tests": [{"args": [2, 3], "value": 5}, {"args": [0, 0], "value": 0}]}))
    assert tests is not None
    found = ProgramChecker().check([(tests, "def add(a, b):\n    return a + b"), (tests, "lambda a, b: a * b")])
    assert [v.correct for v in found] == [True, False]
    assert found[1].right == (False, True)


@pytest.mark.parametrize(
    "check",
    [None, "null", "[]", "{}", '{"tests": []}', '{"tests": [7]}', '{"tests": [{"args": 3, "value": 4}]}',
     '{"tests": [{"args": [3]}]}', json.dumps({"tests": [{"args": [], "value": 0}] * 101})],
)  # fmt: skip
def test_a_check_of_another_form_is_none(check: str | None) -> None:
    assert CallTests.read(check) is None


def test_hidden_inputs_are_always_the_same_and_not_those_of_another_program() -> None:
    one, two = asked("v: first 3="), asked("v: first 4=")
    assert hidden(one) == hidden(asked(" v:  first 3="))
    assert [given for given, _ in hidden(one)] != [given for given, _ in hidden(two)]
    assert len(hidden(one)) == len(inputs("v", [], stream(0, "x")))
