"""RLlib's PPO, on its new API stack, trains a teacher through the numeric views; its gymnasium is 1.2.2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.rl.legs import package, run_block
from tests.rl.views import LISTED, VIEWS, make

package("ray.rllib", leg="rllib")
import ray  # noqa: E402
from ray.rllib.algorithms.ppo import PPOConfig  # noqa: E402
from ray.tune.registry import register_env  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toys", "local_ray")]
HOW: dict[str, Any] = {"train_batch_size_per_learner": 128, "minibatch_size": 32, "num_epochs": 6, "lr": 1e-3}


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray of this test's own, whatever cluster the machine belongs to."""
    ray.init("local", num_cpus=1, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    register_env("toy", lambda given: make(given["id"], given["actions"]))
    yield
    ray.shutdown()


def trained(id_: str, actions: str, iterations: int) -> list[dict[str, Any]]:
    """What the environment runner says after every iteration."""
    config = PPOConfig().environment("toy", env_config={"id": id_, "actions": actions})
    config = config.env_runners(num_env_runners=0).training(entropy_coeff=0.003, **HOW).debugging(seed=0)
    algorithm = config.build_algo()
    try:
        return [algorithm.train()["env_runners"] for _ in range(iterations)]
    finally:
        algorithm.stop()


def test_this_is_the_other_end_of_gymnasium() -> None:
    assert gym.__version__ == "1.2.2"


@pytest.mark.parametrize(("id_", "actions"), VIEWS)
def test_ppo_trains_through_every_view(id_: str, actions: str) -> None:
    first, second = trained(id_, actions, 2)
    assert second["num_env_steps_sampled_lifetime"] == 2 * first["num_env_steps_sampled_lifetime"] == 256
    assert second["num_episodes_lifetime"] > first["num_episodes_lifetime"] > 10
    assert 0 < second["episode_return_max"] <= 0.5, "there is no more to be had"


def test_what_it_learns_teaches_better() -> None:
    returns = [each["episode_return_mean"] for each in trained(LISTED, "discrete", 6)]
    assert np.mean(returns[-2:]) - returns[0] > 0.08


def test_the_page() -> None:
    assert run_block("RLlib")["algorithm"].iteration == 1
