"""Lookahead teaches what helped most on a branch, and pays for every branch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataenv.environment.branch import fork
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from teachers.lookahead import Lookahead
from tests.tiny import TINY

SIMULATED: dict[str, Any] = TINY | {
    "student": "simulated",
    "student_args": {},
    "items": {"feedback": 20, "selection": 40, "test": 1, "transfer": 0},
    "recipe": {"updates": 32, "batch": 16},
    "lesson_size": 128,
    "budget": {"student_tokens": 300_000},
}


def test_it_teaches_the_candidate_whose_branch_gained_most() -> None:
    env = TeachingEnv(**SIMULATED)
    observation, info = env.reset(seed=0)
    teacher = Lookahead(candidates=4, floor=0.0, concentration=0.3)
    teacher.begin(Context(env))
    tried: list[Any] = []
    mixtures = teacher._mixtures
    teacher._mixtures = lambda: tried.extend(mixtures()) or tried  # type: ignore[method-assign,func-returns-value]
    action = teacher.act(observation, info)
    gains = []
    for mixture in tried:
        branch = fork(env)
        gains.append(float(branch.step((mixture / mixture.max()).astype(np.float32))[1]))
    assert len(set(gains)) > 1
    chosen = tried[int(np.argmax(gains))]
    np.testing.assert_allclose(action / action.sum(), chosen, atol=1e-6)


def test_branches_and_lessons_draw_on_one_purse() -> None:
    env = TeachingEnv(**SIMULATED)
    episode = run(env, Lookahead(candidates=2, hold=2), seed=0)
    lessons = [step for step in episode.steps if step.lesson]
    uses = env.purse.uses
    assert uses["probes"] > 0.5 * uses["training"], "two branches for two lessons"
    assert sum(uses.values()) <= env.purse.total
    assert len(lessons) < env.purse.total / (uses["training"] / len(lessons)) * 0.7


def test_a_choice_is_kept_for_as_long_as_it_says() -> None:
    env = TeachingEnv(**SIMULATED)
    steps = run(env, Lookahead(candidates=2, hold=3, concentration=0.3), seed=1).steps[1:]
    spent = np.diff([0, *(step.spent for step in steps)])
    looked = spent > 2 * np.median(spent)
    assert looked[0]
    assert np.flatnonzero(looked).tolist() == list(range(0, 3 * looked.sum(), 3))


@pytest.mark.parametrize("args", [{"candidates": 1}, {"hold": 0}, {"concentration": 0.0}, {"floor": 2.0}])
def test_bad_arguments_are_one_sentence(args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(args))} is "):
        Lookahead(**args)
