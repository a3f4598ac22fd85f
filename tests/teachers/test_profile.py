"""Stages 1 and 2 of STAT: what is difficult, without a verifier too, and what it lacks; and drawing by the law."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from dataenv.episode.profiles import profiles_of
from dataenv.episode.teacher import as_teacher
from dataenv.errors import SettingError
from tasks.records import Example, stream
from teachers.chat.scripted import Server, serving
from teachers.profile import difficult_problems, times
from teachers.stat_sel import ConSel, StatSel, StatSelPool, draw_without_replacement
from tests.chatting import backwards
from tests.tiny import TINY
from tests.toys import TOYS

ANSWERS = [
    ("1", "all differ", list("abcde")),
    ("2", "two agree", list("aabcd")),
    ("3", "two come to the same", ["a", "b", "c", "d", "so it is A"]),
    ("4", "sure", list("aaaaa")),
]


class Unsure:
    """A student whose answers are written down."""

    skills = ("a", "b")

    def __init__(self, remaining: int = 1000) -> None:
        self.budget = SimpleNamespace(remaining=remaining, step_price=100, answer_price=1)
        self.rng, self.asked = stream(0, "teacher"), list[tuple[int, int]]()

    def feedback_answers(self, problems: int, n: int) -> Any:
        self.asked.append((problems, n))
        return ANSWERS

    def same(self, example: Example, answer: str) -> bool:
        return example.response[-1].casefold() == answer[-1].casefold()

    def describe(self, error: dict[str, str]) -> tuple[str, float]:
        return error["id"][0], 0.0


def test_a_problem_is_difficult_where_no_two_of_five_answers_agree() -> None:
    context: Any = Unsure()
    found = difficult_problems(context, {}, "consistency", 7)
    assert found == [({"id": "1", "prompt": "all differ", "response": "a"}, 1.0)]
    assert context.asked == [(7, 5)]


def test_looking_leaves_the_next_lesson_its_price() -> None:
    context: Any = Unsure(remaining=100 + 5 * 7 - 1)
    assert difficult_problems(context, {}, "consistency", 7) is None
    assert context.asked == []


def test_the_verifier_draws_from_what_is_shown() -> None:
    context: Any = Unsure()
    shown = [{"id": f"{'ab'[i % 2]}{i}", "prompt": str(i), "response": ""} for i in range(9)]
    seen = {"errors": tuple(shown), "wrong": np.array([10.0, 4.0])}
    assert difficult_problems(context, seen, "verifier", None) == [
        (error, 2.0 if error["id"][0] == "a" else 1.0) for error in shown
    ]
    some = difficult_problems(context, seen, "verifier", 3)
    assert some is not None
    assert len(some) == 3
    assert all(error in shown for error, _ in some)
    for skill, there in (("a", 10), ("b", 4)):
        weights = [weight for error, weight in some if error["id"][0] == skill]
        assert not weights or sum(weights) == pytest.approx(there), "those drawn stand for all of their skill"


@given(st.lists(st.floats(0, 1000), max_size=40))
def test_whole_numbers_follow_the_weights(weights: list[float]) -> None:
    whole = times(weights)
    assert all(abs(n - weight) <= 1 + 1e-6 for n, weight in zip(whole, weights, strict=True))
    assert abs(sum(whole) - sum(weights)) <= 0.5 + 1e-6
    assert times([1.0] * len(weights)) == [1] * len(weights)


def test_a_profile_by_consistency_is_paid_and_finds_what_an_untaught_student_lacks() -> None:
    env = TeachingEnv("skill-list", **TINY)
    teacher = StatSel(detect="consistency", difficult=32, floor=0.0)
    observation, info = env.reset(seed=0)
    context = Context(env)
    teacher.begin(context)
    shares = teacher.act(observation, info)
    assert env.purse.spent > 0
    assert 0 < teacher.yields["diagnosed"] <= teacher.yields["errors"] <= 32
    assert shares.sum() == pytest.approx(1)


def test_a_look_that_cannot_be_paid_keeps_the_last_profile() -> None:
    """Looks at all 48 problems cost more than a lesson: soon one would leave the next lesson without its price."""
    env = TeachingEnv("open-ended", **TINY | {"budget": {"student_tokens": 40_000}})
    teacher = StatSelPool(detect="consistency", difficult=48)
    found: list[int] = []
    episode = run(env, teacher, seed=0, on_step=lambda _: found.append(getattr(teacher, "yields", {}).get("errors", 0)))
    looked = [after > before for before, after in pairwise(found)]
    assert looked[0]
    assert not looked[-1]
    assert episode.steps[-1].kept > 0
    assert episode.steps[-1].ended == "spent"


def test_drawing_follows_the_law_and_repeats_nothing() -> None:
    pool = [Example(prompt=str(i), response="r") for i in range(5)]
    law = np.array([0.5, 0.25, 0.25, 0.0, 0.0])
    rng = np.random.default_rng(0)
    firsts: Counter[str] = Counter()
    for _ in range(4000):
        drawn = draw_without_replacement(pool, law, 2, rng)
        assert len({e.prompt for e in drawn}) == 2
        firsts[drawn[0].prompt] += 1
    np.testing.assert_allclose([firsts[str(i)] / 4000 for i in range(5)], law, atol=0.025)
    assert len(draw_without_replacement(pool, law, 5, rng)) == 3, "what weighs nothing is never drawn"


def test_the_pool_is_drawn_where_a_missing_skill_is_needed() -> None:
    env = TeachingEnv("open-ended", **TINY | {"lesson_size": 400})
    observation, info = env.reset(seed=0)
    context = Context(env)
    sums = [p for p in env.setting.exam_items("feedback") if p.skills[0] == "max"]
    errors = tuple({"id": p.id, "prompt": p.prompt, "response": "?", "answer": p.answer} for p in sums)
    teacher = StatSelPool(floor=0.0)
    teacher.begin(context)
    lesson = teacher.act(observation | {"errors": errors}, info)
    assert len({e.prompt for e in lesson}) == 400
    assert all("max" in e.skills and e.origin == "pool" for e in lesson)
    assert {e.skills[0] for e in lesson} == {"max", "max-succ", "add-max"}


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("stat-sel", {"detect": "prm"}, "detect is 'prm'; give 'verifier' or 'consistency'"),
        ("con-sel", {"diagnosis": "chat"}, "chat is None; give the fields of a ChatSpec"),
        ("stat-sel", {"difficult": 0}, "difficult is 0"),
        ("stat-sel-pool", {"rewrites": 1}, "rewrites is 1; give 0, or 2 or more"),
        ("stat-sel-pool", {"rewrites": 3}, "chat is None"),
        ("stat-sel-pool", {"quota": 0}, "quota is 0"),
        ("embed-sel", {"each": 0}, "each is 0"),
        ("hard-only", {"difficulty": 2}, "difficulty is 2"),
        ("hard-only", {"share": -1}, "share is -1"),
        ("variants", {"each": 0}, "each is 0"),
    ],
)
def test_bad_arguments(name: str, args: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        registry.build("teacher", name, args)


def test_every_profile_of_an_episode_is_kept_with_its_step() -> None:
    teacher = ConSel(difficult=20, floor=0.0)
    episode = run(TeachingEnv("skill-list", **TINY), teacher, seed=0)
    assert [one.step for one in teacher.profiles] == list(range(len(episode.steps) - 1))
    assert len(teacher.profiles) > 1
    first, *later = teacher.profiles
    assert {(one.diagnoser, one.used) for one in teacher.profiles} == {("task", True)}
    assert sum(one.problems for one in teacher.profiles) == teacher.yields["errors"]
    assert len(first.lacks) == first.problems <= 20
    assert not any(one.lacks for one in later), "the untaught student alone is the same for all teachers of a seed"
    weights = Counter(skill for skills in first.lacks.values() for skill in skills)
    assert set(weights) == set(first.missing)
    assert all(first.missing[skill] >= n for skill, n in weights.items()), "a problem stands for one or more"


def test_a_models_profile_stands_beside_that_of_the_tasks_rules(toys: None) -> None:
    with serving(Server(backwards)) as server:
        chat = {"base_url": server.base_url, "model": "scripted"}
        teacher = StatSel(diagnosis="chat", difficult=4, chat=chat)
        run(TeachingEnv("skill-list", **TOYS | {"budget": {"student_tokens": 500}}), teacher, seed=0)
    model, rules = teacher.profiles
    assert (model.diagnoser, model.used, rules.diagnoser, rules.used) == ("chat", True, "task", False)
    assert set(model.lacks) == set(rules.lacks)
    assert model.problems == rules.problems == len(rules.lacks) == 4
    assert {len(skills) for skills in model.lacks.values()} == {2}, "the script blames two"
    assert {len(skills) for skills in rules.lacks.values()} == {1}
    assert profiles_of(as_teacher(teacher)) == teacher.profiles
