"""What comes out of a sandbox is read as claims, and what goes in is checked."""

from __future__ import annotations

import json

import pytest

from tasks.sandbox.frames import CPU, ENDED, SIGNALLED, WALL
from tasks.sandbox.lane import framed, outcome
from tasks.sandbox.records import NoValue, Program, ProgramLimits, ProgramOutcome

ONE, TWO = b'["value", 1]\n', b'["raised", "KeyError"]\n'


def test_lines_are_values() -> None:
    assert outcome(ONE + TWO, 2, ENDED, 0) == ProgramOutcome((1, NoValue("raised", "KeyError")))


@pytest.mark.parametrize(
    "raw",
    [
        b"x", b"\n", ONE + b"x\n", ONE + b'["value", 1', ONE * 3, b'["value"]\n', b'["value", 1, 2]\n', b"[]\n", b"1\n",
        b'["value", NaN]\n', b'["value", 1.5]\n', b'["raised", 1]\n', b'["other", 1]\n', b'["stopped", "right", ""]\n',
        b'["stopped", "sandbox", ""]\n', b'["stopped", ["syntax"], ""]\n', b'["stopped", "syntax", ""]\n' + ONE,
        b"[" * 100_000 + b"\n", b'["value", ' + b"9" * 5000 + b"]\n", b"\xff\n", b'{"value": 1}\n', b'[["value"], 1]\n',
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_malformed(raw: bytes) -> None:
    assert outcome(raw, 2, ENDED, 0) == ProgramOutcome(reason="malformed")


def test_fewer_values_than_inputs_have_a_reason() -> None:
    assert outcome(ONE, 2, ENDED, 0).reason == "exited"
    assert outcome(ONE * 2, 2, ENDED, 1).reason == "exited"
    assert outcome(ONE + b'["va', 2, CPU, -9) == ProgramOutcome((1,), "cpu")
    assert outcome(ONE, 2, WALL, -9).reason == "wall"
    assert outcome(ONE, 2, SIGNALLED, -11) == ProgramOutcome((1,), "crashed", "11")
    assert outcome(ONE + b'["stopped", "memory", ""]\n', 2, ENDED, 0) == ProgramOutcome((1,), "memory")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (Program("", "f", [(object(),)]), "inputs hold a object; give plain values"),
        (Program("", None, [(1,)]), "inputs of a script are one text each"),
        (Program("", None, [("a", "b")]), "inputs of a script are one text each"),
        (Program("", "f", [(json.loads("[" * 300 + "]" * 300),)]), "nested too deeply"),
    ],
)
def test_inputs_that_cannot_be_sent_are_refused(program: Program, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        framed(program, ProgramLimits())
