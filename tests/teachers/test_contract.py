"""Every registered teacher keeps its contract, and the ones that need a real task do on it what they should."""

from __future__ import annotations

from collections.abc import Iterator
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
from tasks.arithmetic.grammar import compute, read
from teachers.chat.tutor import arithmetic
from teachers.failure import Failure
from teachers.stat_sel import StatSel
from tests.chatting import chatting
from tests.tiny import TINY

ARGUMENTS: dict[str, dict[str, Any]] = {
    "static": {"weights": {"max": 1.0, "chain": 2.0}},
    "influence": {"group": 2, "reference": 8},  # what a third of the small purse pays for
}


@pytest.fixture(scope="module")
def arguments() -> Iterator[dict[str, dict[str, Any]]]:
    """Those that need a language model have a scripted one."""
    with chatting(arithmetic) as (chats, _):
        yield ARGUMENTS | chats


@pytest.mark.parametrize("name", sorted(registry.TEACHERS))
def test_teacher(name: str, arguments: dict[str, dict[str, Any]]) -> None:
    check_teacher(registry.build("teacher", name, arguments.get(name)))


TOOLS: dict[str, Any] = QUICK | {
    "task": "tools",
    "student": "piece-pocket",
    "student_args": {"width": 16, "layers": 1, "heads": 2},
    "decoding": {"max_tokens": 8},
    "budget": {"student_tokens": 40_000},
}
FOR_TOOLS: dict[str, dict[str, Any]] = {
    "static": {"weights": {"lookup": 1.0, "cost": 2.0}},
    "influence": {"group": 2, "reference": 8},
}
ALONE = [name for name, where in sorted(registry.TEACHERS.items()) if ".llm." not in where and name != "best-of"]
"""Teachers that need no language model."""


@pytest.mark.parametrize("name", ALONE)
def test_teacher_of_tools(name: str) -> None:
    teacher, runner = registry.build("teacher", name, FOR_TOOLS.get(name)), Runner(Store())
    check_teacher(teacher, lambda: TeachingEnv(as_teacher(teacher).level, runner=runner, **TOOLS))


def test_episodes_of_two_seeds_differ_for_who_draws() -> None:
    env = TeachingEnv("skill-list", **TINY)
    zero, one = (run(env, registry.build("teacher", "random"), seed=seed) for seed in (0, 1))
    assert zero.steps[1].mixture != one.steps[1].mixture


def test_stat_looks_through_a_chain_to_the_step_that_fails() -> None:
    """Chains whose first step is wrong, and second step right: what is missing is the first, wherever it is needed."""
    env = TeachingEnv("skill-list", **TINY)
    observation, info = env.reset(seed=0)
    context = Context(env)
    errors = []
    for problem in (p for p in env.setting.exam_items("feedback") if p.skills[0] == "max-succ"):
        question = read(problem.prompt)
        assert question is not None
        middle = "".join(str((int(digit) + 1) % 10) for digit in question.steps()[0])
        response = f"{middle}:{compute(question.operators[1], middle, question.operands[2])}"
        texts = {"prompt": problem.prompt, "response": response, "answer": problem.answer}
        errors.append({"id": problem.id, "skill": "max-succ"} | texts)
    at = context.skills.index("max-succ")
    wrong_there = np.ones(len(context.skills), np.float32)
    wrong_there[at] = 0.0
    teacher = StatSel(floor=0)
    teacher.begin(context)
    shares = teacher.act(observation | {"accuracy": wrong_there, "errors": tuple(errors)}, info)
    needed = [example.skills[0] for example in context.pool() if "max" in example.skills]
    expected = [needed.count(skill) / len(needed) for skill in context.skills]
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    assert shares[context.skills.index("max")] > 0
    assert Failure(floor=0).act({"accuracy": wrong_there}, {}).argmax() == at
