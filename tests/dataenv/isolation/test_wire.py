"""What crosses the pipe comes back as it was, and what is no message is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.episode.probes import Answered
from dataenv.isolation.wire import WireError, dumps, loads
from tasks.records import Example

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.floats(width=32).map(np.float32)
)
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.lists(below, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), below, max_size=3),
        st.dictionaries(st.integers(), below, max_size=2),
    ),
    max_leaves=12,
)


def alike(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(np.array_equal(one, other, equal_nan=isinstance(one, float | np.floating)))


@given(VALUES)
def test_values_come_back_to_the_type_and_the_bit(value: Any) -> None:
    assert alike(loads(dumps(value)), value)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float32", "float64"])
def test_arrays_come_back(dtype: str) -> None:
    array = (np.arange(12).reshape(3, 4) / 7).astype(dtype)
    back = loads(dumps(array))
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)
    assert loads(dumps(np.zeros((0, 3)))).shape == (0, 3)


def test_records_come_back_and_named_tuples_where_they_are_known() -> None:
    example = Example(prompt="a\ud800", response="b", skills=("x",), rejected="c")
    assert loads(dumps([example])) == [example]
    answered = Answered("id", "prompt", ["a"])
    assert loads(dumps(answered), {"Answered": Answered}) == answered
    assert type(loads(dumps(answered))) is tuple


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"#": "array", "d": "<f4", "s": [3], "v": [1]}',
        b'{"#": "array", "d": "O", "s": [1], "v": [null]}',
        b'{"#": "array", "d": "<f4", "s": [-1], "v": []}',
        b'{"#": "array", "d": "|u1", "s": [1], "v": [300]}',
        b'{"#": "example", "v": {"prompt": 1}}',
        b'{"#": "example", "v": 3}',
        b'{"#": "os.system", "v": "ls"}',
        b'{"#": ["tuple"], "v": []}',
        b'{"#": "tuple"}',
        b'{"#": "dict", "v": [[{}, 1]]}',
    ],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(WireError, match="cannot be read"):
        loads(line)


def test_what_cannot_be_sent_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    for value, said in (({1, 2}, "a set"), (object(), "an? object"), (deep, "deeply"), (np.array(["a"]), "<U1")):
        with pytest.raises(WireError, match=said):
            dumps(value)
