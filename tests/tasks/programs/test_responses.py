"""Responses read as programs: in one form whatever their spaces, and never run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.programs.responses import LONGEST, ReadProgram, read_program


@pytest.mark.parametrize(
    "response",
    ["sum(x*2 for x in v if x>3)", " sum( (x * 2) for x in v if (x > 3) )", "(sum(x*2 for x in v if x>3)) # the sum",
     "lambda v: sum(x*2 for x in v if x>3)", "Here it is:\n```python\nsum(x*2 for x in v if x>3)\n```\nDone."],
)  # fmt: skip
def test_form_does_not_count(response: str) -> None:
    read = read_program(response, "v")
    assert read is not None
    assert read.body == "sum((x * 2 for x in v if x > 3))"


@pytest.mark.parametrize(
    ("response", "entry"),
    [
        ("def f(v):\n    return sum(v)", "f"),
        ("def total(v):\n    return sum(v)", "total"),
        ("import math\ndef f(v):\n    return g(v)\ndef g(v):\n    return sum(v)", "f"),
        ("f = lambda v: sum(v)", "f"),
        ("```\ndef f(v): return sum(v)\n```", "f"),
    ],
)
def test_functions_are_called_by_their_name(response: str, entry: str) -> None:
    read = read_program(response, "v")
    assert read is not None
    assert (read.entry, read.body) == (entry, None)


@pytest.mark.parametrize(
    "response",
    ["", "sum(v", "v[:3]) or (1", "the sum of v", "x = 3", "(" * 300 + ")" * 300, "v" * (LONGEST + 1),
     "\x00", "f(v", "'''"],
)  # fmt: skip
def test_what_is_no_program_is_not_read(response: str) -> None:
    assert read_program(response, "v") is None


def test_a_lambda_of_another_argument_has_no_comparable_body() -> None:
    read = read_program("lambda x: sum(x)", "v")
    assert read == ReadProgram("f = lambda x: sum(x)", "f", None)


def test_nothing_stands_outside_the_brackets() -> None:
    """What closes the bracket that is put around an expression is no expression, so it does not come that far."""
    for response in ("1) + (2", "1); import os; (2", "1\nimport os"):
        assert read_program(response, "v") is None or response.count("(") == response.count(")")
    assert read_program("1) + (2", "v") is None


@given(st.text(max_size=80))
def test_any_text_is_read_or_not(text: str) -> None:
    read = read_program(text, "v")
    assert read is None or read.entry.isidentifier()
