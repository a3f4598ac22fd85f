"""Values of programs beside the right ones: floats have room, types and lengths have none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.code.comparing import LONGEST_NUMBER, near, same_output

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_a_value_is_near_itself(value: Any) -> None:
    assert near(value, value)


@given(st.floats(-1e6, 1e6), st.floats(0, 0.5e-6))
def test_floats_have_room_wherever_they_stand(value: float, off: float) -> None:
    assert near(value + off, value)
    assert near([{"a": (value + off,)}], [{"a": (value,)}])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.1, 1.0),
        (1, 2),
        ("1", 1),
        ((1, 2), [1, 2]),
        ([1, 2], [1, 2, 3]),
        ({"a": 1}, {"b": 1}),
        ([1.0, "x"], [1.0, "y"]),
        (None, 0.0),
        (math.inf, 1e308),
        (0.5, math.nan),
    ],
)
def test_what_differs_is_not_near(value: Any, expected: Any) -> None:
    assert not near(value, expected)


def test_a_benchmark_may_allow_more_and_nan_is_nan() -> None:
    assert near(1.05, 1.0, tolerance=0.1)
    assert near(math.nan, math.nan)


@pytest.mark.parametrize(
    ("said", "expected", "same"),
    [
        ("1 2\n3", "1 2\n3\n", True),
        ("  1 2  \n3 ", "1 2\n3", True),
        ("1.0 2", "1 2.000", True),
        ("1e3", "1000", True),
        ("1\n2", "1 2", False),
        ("one", "1", False),
        ("0.1", "0.10000001", False),
        ("", "", True),
        ("", "0", False),
    ],
)
def test_outputs_are_lines_of_words_and_exact_numbers(said: str, expected: str, same: bool) -> None:
    assert same_output(said, expected) is same


def test_a_number_without_end_is_compared_as_text_alone() -> None:
    long = "1" * (LONGEST_NUMBER + 1)
    assert same_output(long, long)
    assert not same_output(f"{long}.0", long)
