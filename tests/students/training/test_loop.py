"""The walk through a lesson: in shuffled epochs, or in the order in which the teacher put it."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.budget.price import price_of
from students.base import Data, Recipe
from students.pocket.student import Pocket
from students.training.loop import walked
from tasks.records import Example

STUDENT = Pocket(width=16, layers=1, heads=2, context=16)
WORDS = ("abc", "bca", "cab", "acb", "bac", "cba", "aab", "bba")
LESSON = tuple(Example(prompt=f"{word}>", response=word[::-1]) for word in WORDS)
GIVEN = Recipe(updates=3, batch=4, rate=1e-2, order="given")


def places(n: int, size: int, batches: int, order: str, seed: int = 0) -> list[int]:
    recipe = Recipe.model_validate({"order": order})
    return [place for batch in islice(walked(n, size, recipe, seed), batches) for place in batch]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_given_walks_in_order_again_and_again(n: int, size: int, seed: int) -> None:
    assert places(n, size, 5, "given", seed) == [i % n for i in range(5 * size)]


@given(st.integers(2, 40), st.integers(1, 40))
def test_either_order_sees_none_again_before_all(n: int, size: int) -> None:
    for order in ("given", "shuffled"):
        seen = places(n, size, 2 * n, order)
        for start in range(0, len(seen) - n + 1, n):
            assert sorted(seen[start : start + n]) == list(range(n))


def test_what_a_student_learns_depends_on_the_order_that_was_given() -> None:
    start = STUDENT.initial(0)
    forward, report = STUDENT.fit(start, Data(LESSON), GIVEN, 0)
    assert STUDENT.fit(start, Data(LESSON), GIVEN, 7)[0] == forward, "no order is drawn, so no seed matters"
    assert STUDENT.fit(start, Data(LESSON[::-1]), GIVEN, 0)[0] != forward
    by_hand = start
    single = GIVEN.model_copy(update={"updates": 1})
    for part in (LESSON[:4], LESSON[4:], LESSON[:4]):
        by_hand, _ = STUDENT.fit(by_hand, Data(part), single, 0)
    assert by_hand == forward, "batch by batch from the first example on"
    shuffled = GIVEN.model_copy(update={"order": "shuffled"})
    assert STUDENT.fit(start, Data(LESSON), shuffled, 0)[0] != forward
    assert report.updates == 3


@pytest.mark.parametrize("method", ["sft", "grpo", "dpo"])
def test_the_order_has_no_price(method: str) -> None:
    recipe = Recipe.model_validate({"method": method, "updates": 3, "batch": 8})
    given_order = recipe.model_copy(update={"order": "given"})
    assert price_of(given_order, [9, 4, 7], ()) == price_of(recipe, [9, 4, 7], ())


def test_a_recipe_without_an_order_keeps_its_name() -> None:
    assert "order" not in Recipe().model_dump(mode="json")
    assert GIVEN.model_dump(mode="json")["order"] == "given"
