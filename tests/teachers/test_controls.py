"""The controls that need no language model: ``embed-sel``, ``hard-only``, ``variants``; and their embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataenv.errors import TeacherFailedError
from tasks.embedding import Embedding, nearest
from tasks.records import Example
from teachers.embed_sel import EmbedSel, in_turn
from teachers.hard_only import HardOnly
from teachers.variants import Variants
from tests.teachers.fakes import Fake, taught

CORPUS = ["the cat sat on the mat", "a cat on a mat", "12 + 34 =", "99 + 1 =", "prove that it is prime", ""]


def test_alike_texts_are_near_and_equal_ones_nearest() -> None:
    embedding = Embedding(CORPUS)
    order = nearest(embedding.vectors, embedding.embed(["cats and mats", "12 + 34 =", "7 + 5 ="]))
    assert order.shape == (3, len(CORPUS))
    assert set(order[0, :2].tolist()) == {0, 1}
    assert order[1, 0] == 2
    assert set(order[2, :2].tolist()) == {2, 3}
    lengths = np.linalg.norm(embedding.vectors, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 1, 0], atol=1e-5)


def test_what_is_rare_weighs_more() -> None:
    """All texts share a long stem; what tells them apart is a letter."""
    corpus = [f"what is the answer to question {letter}" for letter in "abcdefgh"]
    embedding = Embedding(corpus)
    order = nearest(embedding.vectors, embedding.embed(["about question g"]))
    assert order[0, 0] == 6


def test_an_embedding_does_not_depend_on_its_company() -> None:
    embedding = Embedding(CORPUS)
    together = embedding.embed(["one", "two three", "four"])
    apart = np.concatenate([embedding.embed([text]) for text in ("one", "two three", "four")])
    np.testing.assert_array_equal(together, apart)


def test_the_best_of_each_row_comes_first_and_none_twice() -> None:
    orders = np.array([[3, 1, 0, 2], [3, 2, 1, 0], [0, 3, 1, 2]])
    evenly = np.ones(3, np.int64)
    assert in_turn(orders, 3, evenly) == [3, 0, 1]
    assert in_turn(orders, 9, evenly) == [3, 0, 1, 2]
    assert in_turn(orders[:, :1], 9, evenly) == [3, 0]
    assert in_turn(orders, 3, np.array([3, 1, 1])) == [3, 1, 0], "the first row gives three at a time"


class Levelled(Fake):
    """A pool without a generator, in which every second item is hard, or of which nobody says."""

    def __init__(self, says: bool = True) -> None:
        super().__init__(generator=False)
        self.says = says

    def difficulties(self, examples: list[Example]) -> list[float | None]:
        return [(0.75 if i % 2 else 0.5) if self.says else None for i in range(len(examples))]


def test_of_a_pool_the_hard_items_alone_are_taught() -> None:
    context: Any = Levelled()
    teacher = HardOnly(difficulty=0.75)
    teacher.begin(context)
    lesson = list(teacher.act({}, {}))
    assert len(lesson) == context.lesson_size
    assert {int(e.prompt.split()[-1]) % 2 for e in lesson} == {0}, "items are numbered from 1, and the second is hard"
    assert context.budget.spent == 0, "nothing is asked"


@pytest.mark.parametrize("context", [Levelled(says=False), Levelled()])
def test_a_pool_that_has_no_such_items_is_one_sentence(context: Any) -> None:
    teacher = HardOnly(difficulty=0.75 if not context.says else 1.0)
    teacher.begin(context)
    with pytest.raises(TeacherFailedError, match="no item of the pool says that it is so difficult; give a file with"):
        teacher.act({}, {})


class Pool(Fake):
    """A pool of questions of two wordings, which tell nothing of the skill."""

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        self.lesson_size = 10

    def describe(self, error: dict[str, str]) -> tuple[str, float]:
        return "add", 0.0

    def pool(self) -> list[Example]:
        sums = [Example(prompt=f"{i} + {i + 3}", response="r", skills=("add",)) for i in range(10, 40)]
        words = [Example(prompt=f"take {i} and double it", response="r", skills=("add",)) for i in range(10, 40)]
        return sums + words


def test_embed_sel_teaches_what_looks_like_the_errors() -> None:
    teacher = EmbedSel()
    context: Any = Pool()
    teacher.begin(context)
    errors = tuple({"prompt": f"{i} + 5", "response": "", "answer": ""} for i in (41, 57))
    seen = {"errors": errors, "wrong": np.array([2.0, 0.0])}
    lesson = teacher.act(seen, {})
    assert len({e.prompt for e in lesson}) == 10
    assert all("+" in e.prompt for e in lesson)
    few = EmbedSel(each=2)
    few.begin(context)
    assert 2 <= len(few.act(seen, {})) <= 4
    assert len(teacher.act(seen | {"errors": ()}, {})) == 10, "where nothing is wrong, anything"


def test_hard_only_teaches_what_the_student_gets_wrong_evenly_over_skills() -> None:
    context: Any = Fake(tokens=20_000, knows=lambda skill, _: float(skill == "add"))
    teacher = HardOnly()
    teacher.begin(context)
    lesson = teacher.act({}, {})
    assert taught(lesson) == {"chain None": 40}
    assert (teacher.asked, teacher.failed) == (80, 40)


def test_hard_only_repeats_its_last_lesson_when_it_may_ask_no_more() -> None:
    context: Any = Fake(tokens=3000, knows=lambda *_: 0.0)
    teacher = HardOnly(share=0.02)
    teacher.begin(context)
    first = teacher.act({}, {})
    asked = teacher.asked
    assert first
    context.pay(context.budget.remaining)
    assert {e.prompt for e in teacher.act({}, {})} == {e.prompt for e in first}
    assert teacher.asked == asked


def test_hard_only_stops_where_nothing_is_wrong() -> None:
    context: Any = Fake(knows=lambda *_: 1.0)
    teacher = HardOnly()
    teacher.begin(context)
    assert teacher.act({}, {}) == []


def test_hard_only_by_difficulty_asks_nothing() -> None:
    context: Any = Fake()
    teacher = HardOnly(difficulty=1.0)
    teacher.begin(context)
    assert taught(teacher.act({}, {})) == {"add 1.0": 20, "chain 1.0": 20}
    assert context.budget.spent == 0


def test_variants_are_of_the_items_own_skills() -> None:
    context: Any = Fake()
    teacher = Variants(each=4)
    teacher.begin(context)
    pool = {e.prompt for e in teacher._pool}
    lesson = teacher.act({}, {})
    assert len(lesson) == 40
    assert taught(lesson) == {"add None": 20, "chain None": 20}
    assert sum(e.prompt in pool for e in lesson) == 8


def test_variants_need_a_generator() -> None:
    context: Any = Fake(generator=False)
    with pytest.raises(ValueError, match="no generator to make variants with; take 'augment'"):
        Variants().begin(context)
