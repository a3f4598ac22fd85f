"""What an untaught student has seen, by shares."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.prior import by_share, check_shares
from tasks.records import Example, stream


def _made(name: str, count: int) -> list[Example]:
    return [Example(prompt=f"{name} {i}", response="yes", skills=(name,), origin="prior") for i in range(count)]


def test_every_skill_has_its_share_and_the_rows_are_mixed() -> None:
    rows = by_share({"a": 3.0, "b": 1.0, "c": 0.0}, 400, stream(0, "shares"), _made)
    counted = Counter(row.skills[0] for row in rows)
    assert set(counted) == {"a", "b"}
    assert sum(counted.values()) == 400
    assert 260 < counted["a"] < 340  # 300 expected, sd 8.7
    assert [row.skills[0] for row in rows] != sorted(row.skills[0] for row in rows)
    assert rows == by_share({"a": 3.0, "b": 1.0, "c": 0.0}, 400, stream(0, "shares"), _made)


def test_without_shares_there_is_nothing() -> None:
    assert by_share({"a": 0.0}, 5, stream(0, "shares"), _made) == []


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"z": 1.0}, "known has 'z'; give some of a, b"),
        ({"a": 0.0}, "known.a is 0.0; give a number above 0, or leave it out"),
        ({"a": float("inf")}, "known.a is inf; give a number above 0"),
        ({"b": "1"}, "known.b is '1'; give a number above 0"),
    ],
)
def test_shares_that_nothing_can_be_drawn_by_are_refused(known: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_shares(known, ("a", "b"))
