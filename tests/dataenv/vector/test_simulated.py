"""The vector form of the simulated student goes where the environment goes, and where gymnasium's vector would."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import dataenv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from dataenv.vector.simulated import NUMBERS, SimulatedVectorEnv
from dataenv.vector.vector_env import TeachingVectorEnv

SMALL: dict[str, Any] = {
    "student": "simulated",
    "warm_start": {"examples": 200, "recipe": {"updates": 300}},
    "recipe": {"updates": 32, "batch": 64},
    "lesson_size": 160,
    "items": {"feedback": 7, "selection": 9, "test": 1, "transfer": 0},
    "budget": {"student_tokens": 250_000},
    "warm_starts": 3,
}
"""An episode of two lessons and a shorter third; so few examples of a skill that hardly two are alike."""
SETTING = make_setting(SMALL)
K = len(SETTING.built_task.skills)


def lessons(n: int, steps: int) -> np.ndarray:
    """Drawn mixtures, even ones (whose rounding is drawn where 160 is not a multiple), some of a few skills, stops."""
    rng = np.random.default_rng(1)
    made = rng.random((steps, n, K)).astype(np.float32)
    made[1::3, :, :] = (rng.random((len(made[1::3]), n, K)) < 0.7).astype(np.float32)
    made[2::4, 0] = 1.0
    made[2, 1] = 0.0
    return made


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_both_forms_go_the_same_way(mode: AutoresetMode) -> None:
    """Every figure of every step, through mastery, stops, short last lessons, automatic resets and drawn seeds."""
    real = TeachingVectorEnv(3, runner=Runner(Store(None)), autoreset_mode=mode, **SMALL)
    ours = SimulatedVectorEnv(3, autoreset_mode=mode, **SMALL)
    ends, rejected = 0, 0
    one, other = real.reset(seed=7), ours.reset(seed=7)
    same(one[0], other[0])
    for batch in lessons(3, 9):
        one, other = real.step(batch), ours.step(batch)
        rejected += int(one[4]["offered"].sum() - one[4]["kept"].sum())
        same(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1], atol=1e-12)
        assert np.array_equal(one[2], other[2])
        assert np.array_equal(one[3], other[3])
        assert np.array_equal(one[4]["spent"], other[4]["spent"])
        assert np.array_equal(one[4]["updates"], other[4]["updates"])
        assert ours.observation_space.contains(other[0])
        over = one[2] | one[3]
        ends += int(over.sum())
        if mode is AutoresetMode.SAME_STEP:
            for i in np.flatnonzero(over):
                same(one[4]["final_obs"][i], other[4]["final_obs"][i])
        if mode is AutoresetMode.DISABLED and over.any():
            mask = {"reset_mask": over}
            same(real.reset(options=mask)[0], ours.reset(options=mask)[0])
    assert ends >= 6
    assert rejected == 0, "the screen dropped a duplicate; this form makes no examples, so another seed is needed"


def same(one: Any, other: Any) -> None:
    for name in NUMBERS:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-6, err_msg=name)


def test_duplicates_that_the_screen_drops_are_all_that_is_different() -> None:
    """One skill alone, in a full lesson: some examples come twice, and are dropped; figures stay near."""
    fields = SMALL | {"lesson_size": 2048}
    env = dataenv.TeachingEnv(runner=Runner(Store(None)), **fields)
    ours = SimulatedVectorEnv(1, **fields)
    env.reset(seed=0)
    ours.reset(seed=0)
    alone = np.eye(K, dtype=np.float32)[env.task.skills.index("add")] + np.float32(0.1)
    alone = np.minimum(alone, 1.0)
    observation, _, _, _, info = env.step(alone)
    seen, *_ = ours.step(alone[None])
    assert info["kept"] < info["offered"]
    np.testing.assert_allclose(observation["loss"], seen["loss"][0], rtol=0.02)


def test_the_registered_id_makes_both() -> None:
    env = gym.make("dataenv/Simulated-v0", **{k: v for k, v in SMALL.items() if k != "student"})
    assert env.unwrapped.student.simulated
    envs = gym.make_vec("dataenv/Simulated-v0", num_envs=5, **{k: v for k, v in SMALL.items() if k != "student"})
    assert isinstance(envs, SimulatedVectorEnv)
    assert envs.spec is not None
    assert gym.make_vec(gym.envs.registration.EnvSpec.from_json(envs.spec.to_json())).num_envs == 5
    assert envs.action_space.shape == (5, K)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"student": "pocket"}, "student is 'pocket'; the vector of simulated students takes 'simulated' alone"),
        ({"level": "open-ended"}, "level is 'open-ended'"),
        ({"recipe": {"replay": 0.5}}, "recipe.replay is 0.5"),
        ({"recipe": {"start": "base"}}, "recipe.start is 'base'"),
        ({"engine": "pool"}, "engine is 'pool'"),
        ({"budget": {"student_tokens": 1, "examples": 4}}, "budget.examples is 4"),
        ({"task": "lego"}, "task is 'lego'"),
    ],
)
def test_what_it_does_not_have_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(dataenv.SettingError, match=words):
        SimulatedVectorEnv(2, **fields)


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (np.ones((2, 3)), r"actions has shape \(2, 3\); give \(2, 16\)"),
        ("lesson", "actions is a str"),
        (np.full((2, 16), "0.5"), "actions is a ndarray of str"),
        (np.full((2, 16), 0.5 + 0j), "actions is a ndarray of complex128; give numbers from 0 to 1"),
        ([[None] * 16] * 2, "actions is a list of object"),
        (np.array([[0.5] * K, [np.nan] + [1.0] * (K - 1)]), r"environment 1: action\[0\] \(first\) is nan"),
        (np.array([[0.5] * K, [1.0] * (K - 1) + [2.0]]), r"environment 1: action\[15\] \(hash\) is 2.0"),
    ],
)
def test_a_bad_action_is_one_sentence_and_changes_nothing(actions: Any, words: str) -> None:
    envs = SimulatedVectorEnv(2, **SMALL)
    before, _ = envs.reset(seed=0)
    with pytest.raises(dataenv.ActionError, match=words):
        envs.step(actions)
    assert (envs._step == 0).all()
    assert np.array_equal(envs._observe()["loss"], before["loss"])


def test_both_forms_reward_the_targets_of_a_setting() -> None:
    fields = SMALL | {"targets": [SETTING.built_task.skills[2], SETTING.built_task.skills[7]]}
    real = TeachingVectorEnv(2, runner=Runner(Store(None)), **fields)
    ours = SimulatedVectorEnv(2, **fields)
    same(real.reset(seed=3)[0], ours.reset(seed=3)[0])
    for batch in lessons(2, 3)[:2]:
        one, other = real.step(batch), ours.step(batch)
        same(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1], atol=1e-12)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_its_numbers_are_those_of_the_numeric_view(mode: AutoresetMode) -> None:
    real = TeachingVectorEnv(2, runner=Runner(Store(None)), autoreset_mode=mode, actions="box", **SMALL)
    ours = SimulatedVectorEnv(2, autoreset_mode=mode, actions="box", **SMALL)
    assert ours.single_observation_space == real.single_observation_space
    assert ours.single_action_space == real.single_action_space
    np.testing.assert_allclose(real.reset(seed=7)[0], ours.reset(seed=7)[0], rtol=1e-6)
    for batch in lessons(2, 3):
        one, other = real.step(batch), ours.step(batch)
        np.testing.assert_allclose(one[0], other[0], rtol=1e-6)
        assert ours.observation_space.contains(other[0])
        if "final_obs" in other[4]:
            for i in np.flatnonzero(other[4]["_final_obs"]):
                np.testing.assert_allclose(one[4]["final_obs"][i], other[4]["final_obs"][i], rtol=1e-6)
        if mode is AutoresetMode.DISABLED and (one[2] | one[3]).any():
            break
    with pytest.raises(dataenv.SettingError, match="this vector gives 'box' alone"):
        SimulatedVectorEnv(2, actions="discrete", **SMALL)  # type: ignore[arg-type]
