"""Stable-Baselines3's PPO trains a teacher through the numeric views, and nothing of it had to be adapted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.rl.legs import package, run_block
from tests.rl.views import LISTED, TREE, VIEWS, make

package("stable_baselines3", leg="sb3")
from stable_baselines3 import PPO  # noqa: E402
from stable_baselines3.common.env_checker import check_env  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.monitor import Monitor  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toys")]
HOW: dict[str, Any] = {"n_steps": 128, "batch_size": 32, "n_epochs": 6, "learning_rate": 1e-3, "ent_coef": 0.003}
UNSCALED = "We recommend you to use a symmetric and normalized Box action space"


def learnt(id_: str, actions: str, steps: int, envs: int = 1) -> tuple[Any, list[float]]:
    """The model, and the return of every episode that ended."""
    torch.set_num_threads(1)
    made = [Monitor(make(id_, actions)) for _ in range(envs)]
    rest = iter(made)
    model = PPO("MlpPolicy", make_vec_env(lambda: next(rest), n_envs=envs), seed=0, device="cpu", **HOW)
    model.learn(steps)
    return model, [r for monitored in made for r in monitored.get_episode_rewards()]


@pytest.mark.parametrize(("id_", "actions"), VIEWS)
def test_its_own_check_finds_nothing(id_: str, actions: str, recwarn: pytest.WarningsRecorder) -> None:
    check_env(make(id_, actions))
    said = [str(w.message) for w in recwarn]
    assert [text for text in said if not text.startswith(UNSCALED)] == []
    assert bool(said) == (actions == "box"), "0 to 1 is not -1 to 1: advice, and no fault"


@pytest.mark.parametrize(("id_", "actions"), VIEWS)
def test_ppo_trains_through_every_view(id_: str, actions: str) -> None:
    model, returns = learnt(id_, actions, 256)
    fresh = PPO("MlpPolicy", make(id_, actions), seed=0, device="cpu", **HOW)
    pairs = zip(model.policy.parameters(), fresh.policy.parameters(), strict=True)
    assert any(not torch.equal(after, before) for after, before in pairs)
    assert all(p.isfinite().all() for p in model.policy.parameters())
    assert len(returns) > 20
    assert max(returns) > 0
    observation, _ = make(id_, actions).reset(seed=0)
    action, _ = model.predict(observation, deterministic=True)
    assert model.action_space.contains(action)


@pytest.mark.parametrize(("id_", "steps"), [(LISTED, 768), (TREE, 1280)])
def test_what_it_learns_teaches_better(id_: str, steps: int) -> None:
    _, returns = learnt(id_, "discrete", steps)
    first, *_, last = np.array_split(returns, 4)
    assert np.mean(last) - np.mean(first) > 0.08


def test_two_students_at_once() -> None:
    model, returns = learnt(LISTED, "discrete", 512, envs=2)
    assert model.n_envs == 2
    assert len(returns) > 40


def test_a_spent_purse_is_a_truncation() -> None:
    """PPO then adds the value of the last observation, which it is given: it is no ordinary end."""
    vector = make_vec_env(lambda: make(LISTED, "discrete"), n_envs=1)
    vector.seed(0)
    vector.reset()
    for _ in range(8):
        observation, _, done, infos = vector.step(np.array([2]))  # the even lesson
        if done[0]:
            break
    assert done[0]
    assert infos[0]["TimeLimit.truncated"]
    assert vector.observation_space.contains(infos[0]["terminal_observation"])
    assert not np.array_equal(observation[0], infos[0]["terminal_observation"]), "it was reset"
    *_, done, infos = vector.step(np.array([3]))  # stop
    assert done[0]
    assert not infos[0]["TimeLimit.truncated"]


def test_where_a_spent_purse_is_final_no_value_is_added() -> None:
    vector = make_vec_env(lambda: make(LISTED, "discrete", final=True), n_envs=1)
    vector.reset()
    done = [False]
    while not done[0]:
        *_, done, infos = vector.step(np.array([2]))
    assert not infos[0]["TimeLimit.truncated"]


def test_the_page() -> None:
    page = run_block("Stable-Baselines3")
    assert page["env"].action_space.contains(page["action"])
    assert page["model"].num_timesteps == 32
