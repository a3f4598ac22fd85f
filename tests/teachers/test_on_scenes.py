"""Every registered teacher that needs no language model teaches `scenes`: questions that are told apart by pictures."""

from __future__ import annotations

from typing import Any

import pytest

from dataenv import check_teacher, registry
from dataenv.checks.teacher import QUICK
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.teacher import as_teacher
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from teachers.hard_only import HardOnly
from teachers.lessons import as_asked, question_of
from tests.teachers.test_on_programs import ALONE

SCENES: dict[str, Any] = QUICK | {
    "task": "scenes",
    "student": "pocket-vlm",
    "student_args": {"width": 8, "blocks": 1},
    "decoding": {"max_tokens": 1},
    "budget": {"student_tokens": 8_000},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "static": {"weights": {"color": 1.0, "left": 2.0}},
    "influence": {"group": 2, "reference": 8},
}


@pytest.mark.parametrize("name", ALONE)
def test_teacher(name: str) -> None:
    teacher, runner = registry.build("teacher", name, ARGUMENTS.get(name)), Runner(Store())
    check_teacher(teacher, lambda: TeachingEnv(as_teacher(teacher).level, runner=runner, **SCENES))


def test_samples_are_of_what_is_shown() -> None:
    """One question about two pictures is asked twice, and each answer is to its own picture."""
    env = TeachingEnv("open-ended", **SCENES)
    env.reset(seed=0)
    context = Context(env)
    made = context.generate("count", 12)
    assert len({e.prompt for e in made}) == 1
    assert len({question_of(e) for e in made}) == 12
    assert as_asked(made) == made
    both = context.sample([*made, *made[:1]], n=2, temperature=0.0)
    assert both[0] == both[-1]
    assert [len(answers) for answers in both] == [2] * 13


def test_a_teacher_looks_at_mistakes_and_at_nothing_sealed() -> None:
    env = TeachingEnv("open-ended", **SCENES)
    observation, _ = env.reset(seed=0)
    context = Context(env)
    error = observation["errors"][0]
    assert context.picture(error["media"]).shape == (32, 32, 3)
    assert context.picture(context.pool()[0].media[0]).shape == (32, 32, 3)
    for name in (env.task.split("test")[0].media[0], "0" * 64, ""):
        with pytest.raises(SettingError, match="is none of a mistake, the pool or an example"):
            context.picture(name)


def test_hard_only_keeps_apart_what_is_shown() -> None:
    env = TeachingEnv("open-ended", **SCENES)
    observation, info = env.reset(seed=0)
    teacher = HardOnly()
    teacher.begin(Context(env))
    teacher.act(observation, info)
    assert teacher.asked > len(env.task.skills) * 2
