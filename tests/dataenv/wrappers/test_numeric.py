"""Numeric views: what the numbers mean, that every action of a view is one below, and PPO that learns through them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dataenv
import dataenv.checks.teacher
from dataenv.environment.env import TeachingEnv
from dataenv.wrappers.mask import Mask
from dataenv.wrappers.numeric import NumericObservation, numeric
from tests.scripts import script
from tests.toys import BRANCHING, PAYING, TOYS

pytestmark = pytest.mark.usefixtures("toys")
IDS = ("dataenv/SkillList-v0", "dataenv/SkillTree-v0")
KINDS = ("box", "multi-discrete", "discrete")
STOPS: dict[tuple[str, str], Any] = {
    (IDS[0], "box"): np.zeros(2, np.float32),
    (IDS[1], "box"): np.zeros(10, np.float32),
    (IDS[0], "multi-discrete"): np.zeros(2, np.int64),
    (IDS[1], "multi-discrete"): np.zeros(8, np.int64),
    (IDS[0], "discrete"): np.int64(3),
    (IDS[1], "discrete"): np.int64(9),
}


def make(id_: str = IDS[1], actions: Any = "box", **changes: Any) -> Any:
    return numeric(gym.make(id_, **BRANCHING | changes), actions)


def below(env: Any) -> Any:
    """What the last action came to, as the level read it."""
    return env.unwrapped.snapshot().memory


@pytest.mark.parametrize("id_", IDS)
@pytest.mark.parametrize("actions", KINDS)
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version.*")
def test_check_env(id_: str, actions: Any, recwarn: pytest.WarningsRecorder) -> None:
    env = numeric(Mask(gym.make(id_, **BRANCHING), ["score"]), actions)
    check_env(env, skip_render_check=True)
    assert [str(w.message) for w in recwarn if "unwrapped version" not in str(w.message)] == []
    assert env.spec is not None
    again: Any = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert (again.action_space, again.observation_space) == (env.action_space, env.observation_space)


@pytest.mark.parametrize("id_", IDS)
@pytest.mark.parametrize("actions", KINDS)
def test_any_action_is_an_action_and_zeros_stop(id_: str, actions: Any) -> None:
    env = make(id_, actions)
    env.action_space.seed(0)
    env.reset(seed=0)
    ended = False
    for _ in range(12):
        if ended:
            env.reset(seed=0)
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        ended = terminated or truncated
        assert env.observation_space.contains(observation)
    env.reset(seed=0)
    _, _, terminated, _, info = env.step(STOPS[id_, actions])
    assert terminated
    assert info["spent"] == 0


def test_the_vector_is_the_observation() -> None:
    env = make()
    env.reset(seed=0)
    vector, *_ = env.step(np.array([1, 0.5, 1, 1, *[0] * 6], np.float32))
    view: Any = env.env
    assert isinstance(view, NumericObservation)
    assert sum(view.fields.values()) == len(vector) == 3 * 2 + 2 + 2 + 4 * 6
    ends = np.cumsum(list(view.fields.values()))
    parts = dict(zip(view.fields, np.split(vector, ends[:-1]), strict=True))
    seen = env.unwrapped._observe()
    np.testing.assert_array_equal(parts["accuracy"], seen["accuracy"])
    np.testing.assert_allclose(parts["loss"], seen["loss"] / (1 + seen["loss"]))
    np.testing.assert_allclose(parts["counts"], seen["counts"] / 12)
    np.testing.assert_allclose(parts["left"], seen["left"] / 3, rtol=1e-6)
    np.testing.assert_allclose(parts["subskill_counts"], seen["subskill_counts"].ravel() / 12, rtol=1e-6)
    assert parts["grown"].tolist() == [1, 1, 0, 1, 1, 0], "1 grows all there are, 0.5 of 0..3 grows two"
    assert "errors" not in parts


def test_multi_discrete_amounts() -> None:
    env = make(actions="multi-discrete")
    assert env.action_space.nvec.tolist() == [4, 4, *[5] * 6]
    env.reset(seed=0)
    env.step(np.array([2, 1, *[4] * 6]))
    assert below(env)["allocation"] == [[1, 1, 0], [1, 0, 0]]
    env.step(np.array([0, 0, 1, 2, 0, 4, 4, 4]))
    assert below(env)["allocation"] == [[0.25, 0.5, 0], [1, 0, 0]]


def test_discrete_choices() -> None:
    env = make(actions="discrete")
    assert env.action_space.n == 2 + 6 + 2
    env.reset(seed=0)
    for choice in (0, 0, 1, 1):  # grow each skill twice
        env.step(choice)
    assert below(env)["grown"] == [2, 2]
    env.step(2 + 4)  # the second subskill of the second skill
    allocation = np.array(below(env)["allocation"])
    np.testing.assert_allclose(allocation / allocation.sum(), [[1 / 6, 1 / 6, 0], [1 / 6, 1 / 2, 0]], atol=1e-6)
    env.step(2 + 5)  # not grown
    assert below(env)["allocation"] == [[1, 1, 0], [1, 1, 0]]
    listed = make(IDS[0], "discrete")
    listed.reset(seed=0)
    assert listed.env.env is not None
    np.testing.assert_allclose(listed.action(1) / listed.action(1).sum(), [0.5, 0.5])
    np.testing.assert_allclose(listed.action(2), [1, 1])


@pytest.mark.parametrize(
    ("action", "actions"),
    [
        (np.full(10, np.nan, np.float32), "box"),
        (np.full(10, 1.5, np.float32), "box"),
        (np.zeros(10), "box"),
        (np.zeros(9, np.float32), "box"),
        (np.full(8, 5), "multi-discrete"),
        (np.zeros(8, np.float32), "multi-discrete"),
        (10, "discrete"),
        (1.0, "discrete"),
    ],
)
def test_what_is_no_action_is_one_sentence(action: Any, actions: Any) -> None:
    env = make(actions=actions)
    env.reset(seed=0)
    with pytest.raises(dataenv.ActionError, match=r"action \(.*\) is not in .*; mind shape, range, NaN and dtype") as e:
        env.step(action)
    assert "\n" not in str(e.value)


def test_views_that_cannot_be() -> None:
    with pytest.raises(dataenv.SettingError, match="'open-ended' has no numeric view"):
        numeric(TeachingEnv("open-ended", **TOYS))
    with pytest.raises(dataenv.SettingError, match="actions is 'continuous'; give one of box, multi-discrete"):
        make(actions="continuous")
    with pytest.raises(dataenv.SettingError, match="steps is 1; give a whole number of amounts, at least 2"):
        numeric(gym.make(IDS[1], **BRANCHING), "multi-discrete", steps=1)


def test_a_spent_purse_is_final_where_that_is_asked() -> None:
    env = numeric(gym.make(IDS[0], **PAYING), "discrete", final=True)
    assert env.spec is not None
    again: Any = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    ends = []
    for each in (make(IDS[0], "discrete", **PAYING), env, again):
        each.reset(seed=0)
        over = False
        while not over:
            *_, terminated, truncated, _ = each.step(2)
            over = terminated or truncated
        ends.append((terminated, truncated))
    assert ends == [(False, True), (True, False), (True, False)]


@pytest.mark.parametrize("id_", IDS)
def test_a_vector_stands_for_a_structured_action(id_: str) -> None:
    env = make(id_)
    below_it = env.unwrapped.action_space
    below_it.seed(0)
    for _ in range(20):
        action = below_it.sample()
        again = env.action(env.vector(action))
        same = {n: again[n] for n in action} if isinstance(action, dict) else again
        assert dataenv.checks.teacher._equal(same, action)


def gained(id_: str, actions: Any, steps: int, **how: Any) -> float:
    """By how much the mean return of the last quarter of the episodes is above that of the first."""
    first, *_, last = np.array_split(script("ppo").train(lambda: make(id_, actions, **PAYING), steps, seed=0, **how), 4)
    return float(np.mean(last) - np.mean(first))


def test_ppo_learns_to_teach() -> None:
    """Of two skills one cannot be learnt, and one choice of four stops: a teacher that is drawn wins half of it."""
    assert gained(IDS[0], "discrete", 512, rollout=64) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("id_", "actions"), [(IDS[0], "box"), (IDS[1], "multi-discrete"), (IDS[1], "box")])
def test_ppo_learns_to_teach_through_every_view(id_: str, actions: Any) -> None:
    assert gained(id_, actions, 1536) > 0.05
