"""Credit is what teaching the same lessons without a skill comes to."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import dataenv
from dataenv.analysis.credit import leave_one_out
from dataenv.environment.env import TeachingEnv
from dataenv.learning.oracle import expected
from tests.tiny import TINY

FIELDS: dict[str, Any] = TINY | {
    "student": "simulated",
    "student_args": {"spread": 0.0},
    "items": {"feedback": 2, "selection": 60, "test": 1, "transfer": 0},
    "warm_start": {"examples": 200, "recipe": {"updates": 300}},
    "recipe": {"updates": 64, "batch": 16},
    "budget": {"student_tokens": 10**9},
}


@pytest.fixture
def env() -> TeachingEnv:
    made = TeachingEnv(store="off", **FIELDS)
    made.reset(seed=3)
    return made


def test_a_skill_has_the_credit_of_what_it_taught_and_of_what_it_displaced(env: TeachingEnv) -> None:
    first, hash_ = env.task.skills.index("first"), env.task.skills.index("hash")
    action = np.zeros(len(env.task.skills), np.float32)
    action[[first, hash_]] = 1.0
    for _ in range(2):
        env.step(action)
    before = env.snapshot()
    credit = leave_one_out(env)
    assert env.snapshot() == before
    assert credit.taught == ("first", "hash")
    assert credit.whole == env.history[-1].selection.correct
    assert credit.matrix[0, first] > 0.2, "rehearsed, it was kept"
    assert credit.matrix[1, first] <= 0.0, "what nobody can learn stands in its way"
    alone = TeachingEnv(store="off", **FIELDS)
    alone.reset(seed=3)
    alone.step(np.eye(len(action), dtype=np.float32)[first])
    alone.step(np.eye(len(action), dtype=np.float32)[first])
    assert abs(credit.without[1][first] - alone.history[-1].selection.correct[first]) <= 1


def test_both_calls_take_what_gymnasium_makes() -> None:
    """In its own wrappers and in ours."""
    fields = {name: value for name, value in FIELDS.items() if name != "student"}
    env = dataenv.Mask(gym.make("dataenv/Simulated-v0", store="off", **fields))
    env.reset(seed=3)
    action = np.zeros(env.action_space.shape, np.float32)
    action[0] = 1.0
    env.step(action)
    credit = leave_one_out(env)
    assert credit.taught == ("first",)
    assert credit.simulated
    assert 0.0 < expected(env) <= 1.0


def test_an_episode_without_lessons_has_no_credit_to_give(env: TeachingEnv) -> None:
    with pytest.raises(dataenv.SettingError, match="env has taught no example"):
        leave_one_out(env)
