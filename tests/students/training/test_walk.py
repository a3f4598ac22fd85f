"""The walk is known beforehand: its tokens are those of the batches that training goes over."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from students.base import Data, Recipe
from students.pocket.student import Pocket
from students.simulated import Simulated
from students.training.loop import Encoded, batches
from students.training.walk import tokens_of_batches, walk_of
from tasks.arithmetic import Arithmetic
from tasks.records import Example, stream
from tests.toys import Parrot

lengths = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def encoded(sizes: Sequence[int]) -> Encoded:
    return Encoded([([1], [1] * (n - 1)) for n in sizes], 0)


@given(
    fresh=lengths,
    earlier=st.lists(st.integers(1, 30), max_size=9),
    batch=st.integers(1, 17),
    replay=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.99]),
    order=st.sampled_from(["shuffled", "given"]),
    seed=st.integers(0, 2**31 - 1),
)
def test_it_holds_the_tokens_of_the_batches(
    fresh: list[int], earlier: list[int], batch: int, replay: float, order: str, seed: int
) -> None:
    assume(round(batch * replay) < batch)  # a recipe refuses it: nothing would be left for the lesson
    recipe = Recipe.model_validate({"batch": batch, "replay": replay, "order": order})
    walk = tokens_of_batches(fresh, earlier, recipe, seed)
    made = batches(encoded(fresh), encoded(earlier), recipe, seed)
    assert list(islice(walk, 24)) == [batch.tokens for batch in islice(made, 24)]


def test_whole_epochs_cost_the_same_in_any_order() -> None:
    sizes = [3, 50, 7, 7, 21, 4, 9, 60]
    for seed in range(5):
        for order in ("shuffled", "given"):
            recipe = Recipe.model_validate({"batch": 4, "order": order})
            assert sum(islice(tokens_of_batches(sizes, [], recipe, seed), 6)) == 3 * sum(sizes)


@settings(max_examples=15, deadline=None)
@given(words=st.lists(st.text("abc", min_size=1, max_size=20), min_size=1, max_size=12), cooldown=st.integers(0, 2))
def test_pocket_reports_what_it_says(words: list[str], cooldown: int) -> None:
    student = Pocket(width=16, layers=1, heads=2, context=32)
    recipe = Recipe(updates=3, batch=4, cooldown=cooldown, replay=0.25)
    lesson = tuple(Example(prompt=word, response=word[::-1]) for word in words)
    fresh = [student.tokens(e) for e in lesson]
    walk = walk_of(student, recipe)
    assert walk is not None
    _, report = student.fit(student.initial(0), Data(lesson, earlier=lesson[:2]), recipe, 5)
    assert report.tokens == sum(islice(walk(fresh, fresh[:2], recipe, 5), 3 + cooldown))


def test_a_simulated_student_learns_by_shares_and_so_walks_batches_of_mean_length() -> None:
    student, task = Simulated(), Arithmetic()
    lesson = tuple(e for skill in task.skills[:2] for e in task.generate(skill, 3, stream(0, "walk")))
    recipe = Recipe(updates=5, batch=7, cooldown=2)
    _, report = student.fit(student.initial(0), Data(lesson), recipe, 1)
    assert report.tokens == 7 * -(-7 * sum(map(student.tokens, lesson)) // len(lesson))


class Orderless(Parrot):
    """Says nothing of its order."""

    walk = None  # type: ignore[assignment]


def test_whose_order_is_known() -> None:
    for recipe in (Recipe(), Recipe.model_validate({"method": "dpo"})):
        assert walk_of(Pocket(), recipe) is tokens_of_batches
        assert walk_of(Parrot(), recipe) is tokens_of_batches
        assert walk_of(Orderless(), recipe) is None
    assert walk_of(Pocket(), Recipe(method="somebody.elses:Method")) is None


def test_a_recipe_leaves_something_for_the_lesson() -> None:
    with pytest.raises(ValueError, match="leaves no lesson"):
        Recipe(batch=8, replay=0.95)
    assert Recipe(batch=8, replay=0.9).replay == 0.9
