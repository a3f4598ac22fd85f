"""Inputs: of their kind, close to a program's constants, and the same for equal draws."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.programs.values import ARGUMENTS, BATTERY, inputs
from tasks.records import stream


@pytest.mark.parametrize("letter", ARGUMENTS)
def test_equal_draws_give_equal_inputs(letter: str) -> None:
    one, two = (inputs(letter, ["7", "k"], stream(0, "x")) for _ in range(2))
    assert one == two != inputs(letter, ["7", "k"], stream(1, "x"))


def test_bounds_of_a_program_are_among_its_inputs() -> None:
    """So that a program with ``>=`` in place of ``>`` is found out."""
    lists = inputs("v", ["55"], stream(0, "x"))
    counted = Counter(x for row in lists for x in row)  # type: ignore[union-attr]
    assert min(counted[54], counted[55], counted[56]) >= 5
    assert {22, 23, 24} <= set(inputs("n", ["23"], stream(0, "x")))


def test_lengths_go_from_short_to_long() -> None:
    lengths = [len(row) for row in inputs("v", [], stream(0, "x"))]  # type: ignore[arg-type]
    assert min(lengths) == 1
    assert max(lengths) == 24


def test_a_text_of_numbers_has_the_sign_that_is_asked() -> None:
    texts = inputs("t", [";", "7"], stream(0, "x"))
    assert all(set(text) <= set("0123456789;") for text in texts)  # type: ignore[arg-type]
    assert any(";" in text for text in texts)  # type: ignore[operator]


def test_letters_that_are_asked_are_often_there() -> None:
    texts = inputs("s", ["z"], stream(0, "x"))
    assert sum("z" in text for text in texts) >= 5  # type: ignore[operator]
    dicts = inputs("d", ["z"], stream(0, "x"))
    assert 2 <= sum("z" in d for d in dicts) <= 7  # type: ignore[operator]


def test_the_battery_holds_what_constants_may_be() -> None:
    assert any(set(range(61)) <= set(row) for row in BATTERY["v"])  # type: ignore[arg-type]
    assert set(BATTERY) == set(ARGUMENTS)
