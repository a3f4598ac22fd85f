"""Fixed orders keep to their plan."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataenv.environment import TeachingEnv
from dataenv.episode import Context
from teachers.curriculum import Curriculum, Cyclical, EasyToHard, SkillCurriculum, lessons_left
from tests.tiny import TINY

RICH: dict[str, Any] = TINY | {"budget": {"student_tokens": 100_000}}


def begun(teacher: Any, level: str) -> tuple[Any, Context, Any, Any]:
    env = TeachingEnv(level, **RICH)
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
