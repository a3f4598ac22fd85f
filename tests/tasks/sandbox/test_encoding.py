"""Plain values travel with their exact types, and nothing else travels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sandbox.encoding import DEEPEST, decode, encode, name_of, same_value

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
)  # fmt: skip
KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    SCALARS | st.sets(KEYS) | st.frozensets(KEYS),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_comes_back_the_same(value: object) -> None:
    back = decode(json.loads(json.dumps(encode(value, 10_000))))
    assert repr(encode(back, 10_000)) == repr(encode(value, 10_000)) or same_value(back, value)


@pytest.mark.parametrize("value", [1 << 5000, -(1 << 60), "\ud800", float("inf"), [[]] * 3, {(): {}}, b"\0\xff"])
def test_odd_values_come_back(value: object) -> None:
    assert same_value(decode(json.loads(json.dumps(encode(value, 100)))), value)


class Pretender(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("value", [Pretender(1), [Pretender(1)], {Pretender(1): 1}, object(), iter([1]), print])
def test_nothing_but_plain_values_is_encoded(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value, 100)


def test_what_is_too_large_or_deep_or_endless_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(DEEPEST + 1):
        deep = [deep]
    for value in (endless, deep, [0] * 100):
        with pytest.raises(OverflowError):
            encode(value, 100)


@pytest.mark.parametrize(
    "coded",
    [1.5, {}, [], ["?"], ["i"], ["i", 1], ["i", "x"], ["f", "zz"], ["f"], ["b", "0"], ["c", "0x0p0"], ["d", [1]],
     ["d", 1], ["d", [["l"], 1]], ["s", ["l"]], [["l"]], ["i", "1", "2"], ["d", [1, 2, 3]],
     json.loads("[" * 200 + "]" * 200)],
)  # fmt: skip
def test_what_encode_does_not_write_is_refused(coded: object) -> None:
    with pytest.raises(ValueError, match=r"coded|hex|nested|invalid|unpack"):
        decode(coded)


def test_a_name_is_that_of_the_type_whatever_it_says() -> None:
    class Meta(type):
        @property
        def __name__(cls) -> str:
            return "int"

    class Liar(metaclass=Meta):
        pass

    assert name_of(Liar) == "Liar"


@pytest.mark.parametrize(
    ("value", "expected", "tolerance", "same"),
    [
        (1, True, 0, False), (1, 1.0, 0, False), ([1], (1,), 0, False), ({1}, {True}, 0, False),
        ({1: 2}, {True: 2}, 0, False), ({1: 2}, {1: 2.0}, 0, False), (float("nan"), float("nan"), 0, True),
        (0.1 + 0.2, 0.3, 0, False), (0.1 + 0.2, 0.3, 1e-9, True), ([0.1 + 0.2, "a"], [0.3, "a"], 1e-9, True),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, 1e-9, True), ({"a": 1}, {"b": 1}, 0, False), ([1], [1, 2], 0, False),
        ({(1, "a")}, {(True, "a")}, 0, False), ({1, "a"}, {"a", 1}, 0, True), (float("inf"), 1e308, 1e-9, False),
    ],
)  # fmt: skip
def test_values_are_the_same_with_their_types(value: object, expected: object, tolerance: float, same: bool) -> None:
    assert same_value(value, expected, tolerance) is same
