"""Fixed orders keep to their plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from tasks.errors import UnsupportedError
from tasks.records import Example
from teachers.curriculum import Curriculum, Cyclical, EasyToHard, SkillCurriculum, difficulty, lessons_left
from tests.teachers.fakes import Fake
from tests.tiny import TINY

RICH: dict[str, Any] = TINY | {"budget": {"student_tokens": 100_000}}


GIVEN: dict[str, Any] = {"recipe": TINY["recipe"] | {"order": "given"}}


def begun(teacher: Any, level: str, **changes: Any) -> tuple[Any, Context, Any, Any]:
    env = TeachingEnv(level, **RICH | changes)
    observation, info = env.reset(seed=0)
    context = Context(env)
    teacher.begin(context)
    return teacher, context, observation, info


def test_a_curriculum_opens_the_pool_from_its_end_of_the_losses() -> None:
    losses = {}
    for order in ("easy", "hard"):
        teacher, context, observation, info = begun(Curriculum(order=order, sample=512), "open-ended")
        assert 0 < context.budget.spent <= 0.25 * context.budget.total
        first = teacher.act(observation, info)
        assert len({e.prompt for e in first}) == len(first)
        losses[order] = float(np.mean(context.probe(list(first), "loss")))
        lessons = [teacher.act(observation, info) for _ in range(lessons_left(context) + 2)]
        assert len({e.prompt for lesson in lessons for e in lesson}) > len(first)
    assert losses["easy"] < losses["hard"]


def example(prompt: str, response: str) -> Example:
    return Example(prompt=prompt, response=response)


@pytest.mark.parametrize(
    ("by", "easy", "hard"),
    [
        ("length", example("one two", "three"), example("one two three four", "five")),
        (
            "compression",
            example("ab ab ab ab ab ab ab ab", "ab ab ab ab"),
            example("the quick brown fox jum", "ps over it."),
        ),
        ("diversity", example("dog cat dog cat", "dog"), example("dog cat", "bird")),
        ("diversity", example("aaaa>", "aaa"), example("abcd>", "efg")),
    ],
)
def test_text_says_how_hard_it_is(by: Any, easy: Example, hard: Example) -> None:
    low, high = difficulty([easy, hard], by)
    assert 0 < low < high


def test_diversity_is_distinct_over_all_words_or_characters() -> None:
    assert difficulty([example("a b a", "b"), example("a", "")], "diversity").tolist() == [0.5, 1.0]
    assert difficulty([example("aab", "b"), example("ab", "")], "diversity").tolist() == [0.5, 1.0]


@pytest.mark.parametrize("by", ["length", "compression", "diversity"])
def test_a_curriculum_by_text_opens_the_pool_from_its_end_and_pays_nothing(by: Any) -> None:
    first, before = {}, None
    for order in ("easy", "hard"):
        teacher, context, observation, info = begun(Curriculum(order=order, sample=512, by=by), "open-ended")
        assert context.budget.spent == 0
        first[order] = teacher.act(observation, info)
        assert before in (None, sorted(e.prompt for e in teacher._ordered)), "the same examples, in another order"
        before = sorted(e.prompt for e in teacher._ordered)
        ranked = difficulty(teacher._ordered, by)
        assert (np.diff(ranked if order == "easy" else -ranked) >= 0).all()
    assert difficulty(first["easy"], by).mean() < difficulty(first["hard"], by).mean()


def test_an_unknown_measure_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="by is 'readability'; give one of loss, length, compression, diversity"):
        Curriculum(by="readability")  # type: ignore[arg-type]


def test_looking_keeps_its_share_however_small_a_lesson_is() -> None:
    env = TeachingEnv("open-ended", **RICH | {"lesson_size": 8})
    observation, info = env.reset(seed=0)
    teacher = Curriculum(share=0.05)
    teacher.begin(Context(env))
    assert 0 < env.purse.spent <= 1.1 * 0.05 * env.purse.total
    assert len(teacher.act(observation, info)) == 8


def test_a_purse_that_pays_no_look_leaves_a_lesson() -> None:
    env = TeachingEnv("open-ended", **TINY | {"budget": {"student_tokens": 5}})
    observation, info = env.reset(seed=0)
    teacher = Curriculum()
    teacher.begin(Context(env))
    assert env.purse.spent == 0
    assert teacher.act(observation, info)


def test_a_task_without_a_pool_has_a_curriculum_too() -> None:
    context = Fake()
    context.pool = unsupported  # type: ignore[method-assign]
    teacher = Curriculum(sample=30, share=1.0)
    teacher.begin(context)  # type: ignore[arg-type]
    assert len(teacher.act({}, {})) == 3  # a tenth of the thirty that were looked at


def unsupported() -> list[Any]:
    raise UnsupportedError("no pool")


def test_skills_come_by_their_loss_and_earlier_ones_are_mixed_back() -> None:
    teacher, context, observation, info = begun(SkillCurriculum(order="hard", mix_back=0.4), "skill-list")
    order = np.argsort(-observation["loss"], kind="stable")
    first = teacher.act(observation, info)
    assert first[order[0]] == 1.0 == first.sum()
    for _ in range(lessons_left(context) - 1):
        last = teacher.act(observation, info)
    at = int(np.argmax(last))
    before = order[: list(order).index(at)]
    np.testing.assert_allclose(last[before].sum(), 0.4, atol=1e-6)
    np.testing.assert_allclose(last.sum(), 1.0, atol=1e-6)


def test_a_cycle_reaches_every_skill_equally_often() -> None:
    teacher, context, observation, info = begun(Cyclical(block=4, floor=0.0), "skill-list")
    k = len(context.skills)
    shares = np.array([teacher.act(observation, info) for _ in range(k)])
    np.testing.assert_allclose(shares.sum(0), np.ones(k), atol=1e-5)
    assert ((shares > 0).sum(1) == 4).all()


def test_difficulty_rises() -> None:
    for order, sign in (("easy", 1), ("hard", -1)):
        teacher, context, observation, info = begun(EasyToHard(order=order), "open-ended")
        lessons = [teacher.act(observation, info) for _ in range(lessons_left(context))]
        zeros = [np.mean([e.prompt.count("0") for e in lesson]) for lesson in lessons]  # easy ones have empty columns
        assert sign * (zeros[0] - zeros[-1]) > 0.5


@pytest.mark.parametrize(("order", "sign"), [("easy", 1), ("hard", -1)])
def test_a_curriculum_is_handed_over_in_order_where_the_recipe_keeps_it(order: Any, sign: int) -> None:
    """The very same examples as under a recipe that shuffles, but for their order."""
    lessons = []
    for changes in ({}, GIVEN):
        teacher, _, observation, info = begun(
            Curriculum(order=order, sample=256, by="diversity"), "open-ended", **changes
        )
        lessons.append([teacher.act(observation, info) for _ in range(3)])
    for drawn, ordered in zip(*lessons, strict=True):
        assert sorted(e.prompt for e in drawn) == sorted(e.prompt for e in ordered)
        hard = sign * difficulty(ordered, "diversity")
        assert (np.diff(hard) >= 0).all()
    assert any((np.diff(sign * difficulty(lesson, "diversity")) < 0).any() for lesson in lessons[0]), "else as drawn"


@pytest.mark.parametrize("order", ["easy", "hard"])
def test_difficulty_rises_inside_a_lesson_where_the_recipe_keeps_its_order(order: Any) -> None:
    found = {}
    for kept in ("shuffled", "given"):
        context = Fake(tokens=5_000)
        context.order = kept
        teacher = EasyToHard(order=order)
        teacher.begin(context)
        found[kept] = [[float(e.prompt.split()[1]) for e in teacher.act({}, {})] for _ in range(5)]
    assert [set(lesson) for lesson in found["shuffled"]] == [{at} for at in _levels(order, [0.0, 0.25, 0.5, 0.75, 1.0])]
    assert [len(lesson) for lesson in found["given"]] == [40] * 5
    assert found["given"][0] == [at for at in _levels(order, [0.0, 0.0625, 0.125, 0.1875]) for _ in range(10)]
    assert set(found["given"][4]) == set(_levels(order, [1.0]))


def _levels(order: str, rising: list[float]) -> list[float]:
    return rising if order == "easy" else [1.0 - at for at in rising]


def test_a_student_walks_a_lesson_of_a_curriculum_in_order() -> None:
    """End to end: what was handed over in order is stored, trained and named in that order."""
    env = TeachingEnv("open-ended", store="off", **RICH | GIVEN)
    observation, info = env.reset(seed=0)
    teacher = Curriculum(by="diversity", sample=256)
    teacher.begin(Context(env))
    env.step(teacher.act(observation, info))
    lesson = env.runner.store.lesson(env.history[-1].lesson or "")
    assert (np.diff(difficulty(lesson, "diversity")) >= 0).all()
    assert len(lesson) == env.history[-1].kept > 4
