"""``influence``: the best groups are taught, and probing keeps within its share."""

from __future__ import annotations

from typing import Any

import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.episode.loop import run
from teachers.influence import Influence
from tests.teachers.fakes import Fake, taught
from tests.tiny import TINY


def begun(context: Any, **args: Any) -> Influence:
    teacher = Influence(**({"group": 4, "reference": 8} | args))
    teacher.begin(context)
    return teacher


def test_the_skill_whose_groups_help_more_is_taught() -> None:
    """Both signs: what is ranked is not cut at zero."""
    for offset in (-5.0, 5.0):
        context = Fake(effect=lambda group, offset=offset: offset + (group[0].skills[0] == "chain"))
        lesson = begun(context, floor=0.0).act({}, {})
        assert taught(lesson) == {"chain None": 40}


def test_the_best_groups_themselves_are_in_the_lesson_and_the_others_are_not() -> None:
    marked: list[str] = []

    def effect(group: Any) -> float:
        marked.append(group[0].prompt)
        return float(len(marked))

    context = Fake(effect=effect)
    lesson = {e.prompt for e in begun(context, keep=0.25).act({}, {})}
    best = round(len(marked) / 4)
    assert best >= 1
    assert set(marked[-best:]) <= lesson
    assert not set(marked[:-best]) & lesson


def test_a_floor_keeps_every_skill() -> None:
    context = Fake(effect=lambda group: float(group[0].skills[0] == "chain"))
    for keep in (0.1, 0.5):
        assert taught(begun(context, floor=0.5, keep=keep).act({}, {})) == {"chain None": 30, "add None": 10}


def test_probing_keeps_its_share_over_the_episode_and_ends_gracefully() -> None:
    context = Fake(tokens=5000)
    teacher = begun(context)
    lessons = 0
    while context.budget.remaining >= 1000:
        assert len(teacher.act({}, {})) == 40
        context.pay(1000)
        lessons += 1
    assert lessons >= 3
    assert 0 < teacher._allowance.spent <= 5000 / 3
    context.pay(context.budget.remaining)
    assert taught(teacher.act({}, {})) == {"add None": 20, "chain None": 20}


def test_a_purse_for_fewer_groups_than_skills_ranks_none() -> None:
    context = Fake(tokens=47, effect=lambda group: float(group[0].skills[0] == "chain"))  # two groups: 8 + 2 (12 + 8)
    assert taught(begun(context, share=1.0).act({}, {})) == {"add None": 20, "chain None": 20}
    assert context.asked == []
    context = Fake(tokens=48, effect=lambda group: float(group[0].skills[0] == "chain"))
    assert taught(begun(context, share=1.0, floor=0.0).act({}, {})) == {"chain None": 40}


def test_no_share_is_stratified() -> None:
    context = Fake()
    assert taught(begun(context, share=0.0).act({}, {})) == {"add None": 20, "chain None": 20}
    assert context.asked == []


def test_a_real_episode() -> None:
    env = TeachingEnv("open-ended", **TINY)
    episode = run(env, Influence(group=2, reference=8), seed=0)
    assert episode.steps[-1].ended == "spent"
    assert 0 < env.snapshot().probes <= TINY["budget"]["student_tokens"] / 3
    assert sum(step.lesson is not None for step in episode.steps) >= 4


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"group": 0}, "group is 0; give a whole number of at least 1"),
        ({"reference": 1.5}, "reference is 1.5"),
        ({"keep": 0.0}, r"keep is 0.0; give a number in \(0, 1\]"),
        ({"floor": -1}, "floor is -1"),
        ({"share": 2}, "share is 2"),
    ],
)
def test_arguments_out_of_range_are_refused(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Influence(**args)
