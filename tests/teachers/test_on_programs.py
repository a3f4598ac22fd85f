"""Every registered teacher that needs no language model teaches `programs`, and students practise on its tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataenv import check_teacher, registry
from dataenv.checks.teacher import QUICK
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from dataenv.episode.teacher import as_teacher
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from teachers.stat_sel import StatSel
from teachers.stratified import Stratified

PROGRAMS: dict[str, Any] = QUICK | {
    "task": "programs",
    "task_args": {"skills": ["slice", "map", "filter", "sort", "pipe"]},
    "student_args": {"width": 16, "layers": 1, "heads": 2, "context": 96},
    "decoding": {"max_tokens": 50},
    "budget": {"student_tokens": 60_000},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "static": {"weights": {"map": 1.0, "pipe": 2.0}},
    "influence": {"group": 2, "reference": 8},
}
ALONE = [name for name, where in sorted(registry.TEACHERS.items()) if ".llm." not in where and name != "best-of"]


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize("name", ALONE)
def test_teacher(name: str) -> None:
    teacher, runner = registry.build("teacher", name, ARGUMENTS.get(name)), Runner(Store())
    check_teacher(teacher, lambda: TeachingEnv(as_teacher(teacher).level, runner=runner, **PROGRAMS))


@pytest.mark.usefixtures("needs_sandbox")
def test_stat_teaches_the_step_that_fails() -> None:
    """Pipes of which each answer sorts nothing: what is missing is sorting, wherever it is needed."""
    env = TeachingEnv("skill-list", **PROGRAMS)
    observation, info = env.reset(seed=0)
    context = Context(env)
    problems = [p for p in env.setting.exam_items("feedback") if p.skills[:2] == ("pipe", "sort")]
    assert problems
    errors = [
        {
            "id": p.id,
            "skill": "pipe",
            "prompt": p.prompt,
            "response": "v" + p.answer.rpartition(")")[2],
            "answer": p.answer,
        }
        for p in problems
    ]
    wrong_there = np.ones(len(context.skills), np.float32)
    wrong_there[context.skills.index("pipe")] = 0.0
    teacher = StatSel(floor=0)
    teacher.begin(context)
    shares = teacher.act(observation | {"accuracy": wrong_there, "errors": tuple(errors)}, info)
    needed = [example.skills[0] for example in context.pool() if "sort" in example.skills]
    expected = [needed.count(skill) / len(needed) for skill in context.skills]
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    assert shares[context.skills.index("sort")] > 0


@pytest.mark.usefixtures("needs_sandbox")
def test_practice_is_rewarded_by_running_programs() -> None:
    practice = {"method": "grpo", "updates": 1, "batch": 8, "rate": 0.001, "grpo": {"group": 4}}
    env = TeachingEnv("skill-list", **(PROGRAMS | {"recipe": practice, "lesson_size": 8}))
    episode = run(env, Stratified(), seed=0)
    counted = [step.practice for step in episode.steps if step.practice is not None]
    assert counted
    assert all(practised.answers > 0 for practised in counted)
