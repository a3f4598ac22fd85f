"""Behaviour cloning: record a hand-written teacher, learn to do as it did, and let both teach students of other seeds.

    .venv-sb3/bin/python tests/bench/clone.py --teacher failure

Students are simulated (docs/simulated.md). ``cloned`` takes any dataset of
``dataenv record`` of the level skill-list.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from torch import nn

SETTING: dict[str, Any] = {
    "student": "simulated",
    "lesson_size": 256,
    "warm_start": {"examples": 2000},
    "items": {"feedback": 20, "selection": 40},
}
"""That of the boards, with fewer examples to read and fewer problems to answer: a second an episode."""


def cloned(dataset: Any, seed: int = 0, epochs: int = 200, rate: float = 3e-3) -> Any:
    """A policy, vector -> mixture, that was fitted to a dataset by cross-entropy between mixtures."""
    episodes = list(dataset.iterate_episodes())
    x = torch.as_tensor(np.concatenate([e.observations[:-1] for e in episodes]))
    y = torch.as_tensor(np.concatenate([e.actions for e in episodes]))
    x, y = x[y.sum(-1) > 0], y[y.sum(-1) > 0]  # zeros stop, and are no mixture
    y = y / y.sum(-1, keepdim=True)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(x.shape[1], 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, y.shape[1]))
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(epochs):
        for some in torch.randperm(len(x)).split(64):
            loss = -(y[some] * net(x[some]).log_softmax(-1)).sum(-1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def policy(vector: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net(torch.as_tensor(vector)).softmax(-1).numpy()

    return policy


def distance(policy: Any, dataset: Any) -> float:
    """Mean share of a lesson that a policy deals out otherwise than the dataset's teacher did, where that stood."""
    found = []
    for episode in dataset.iterate_episodes():
        for vector, action in zip(episode.observations, episode.actions, strict=False):
            if action.sum() > 0:
                found.append(0.5 * np.abs(policy(vector) - action / action.sum()).sum())
    return float(np.mean(found))


def returns(make_env: Any, policy: Any, seeds: Any) -> list[float]:
    """What a policy's students gain, seed by seed, through the numeric view."""
    totals = []
    for seed in seeds:
        env = make_env()
        vector, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            mixture = policy(vector)
            vector, reward, terminated, truncated, _ = env.step(np.float32(mixture / mixture.max()))
            total, over = total + float(reward), terminated or truncated
        totals.append(total)
    return totals


def main() -> None:
    """Record, clone, compare."""
    import sys
    import tempfile
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import minari
    from scipy.stats import t

    from dataenv.analysis.record import Recording, record
    from dataenv.execution.runner import Runner
    from dataenv.execution.store import Store
    from dataenv.setting import make_setting

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", default="failure")
    parser.add_argument("--episodes", type=int, default=20, help="to learn from; as many others to compare on")
    given = parser.parse_args()
    torch.set_num_threads(1)
    setting, runner, n = make_setting(SETTING), Runner(Store()), given.episodes
    with tempfile.TemporaryDirectory() as folder:

        def recorded(teacher: str, seeds: range) -> Any:
            id_ = f"{teacher}-{seeds[0]}-v0"
            record([Recording(setting, teacher, {}, seed) for seed in seeds], runner, Path(folder), id_)
            return minari.MinariDataset(Path(folder, id_, "data"))

        shown, held = recorded(given.teacher, range(n)), recorded(given.teacher, range(n, 2 * n))
        even = recorded("stratified", range(n, 2 * n))
        policy = cloned(shown)
        uniform = lambda vector: np.full(shown.action_space.shape, 1 / shown.action_space.shape[0])  # noqa: E731
        got = np.array([e.rewards.sum() for e in held.iterate_episodes()])
        flat = np.array([e.rewards.sum() for e in even.iterate_episodes()])
        own = np.array(returns(held.recover_environment, policy, range(n, 2 * n)))
        apart = [distance(each, held) for each in (policy, uniform)]
    print(f"{shown.total_steps} steps of {given.teacher} in {n} episodes; compared on {n} other seeds")
    print(f"lesson dealt out otherwise: clone {apart[0]:.3f}, uniform {apart[1]:.3f}")
    for name, values in ((given.teacher, got), ("its clone", own), ("stratified", flat)):
        print(f"{name:<18} mean return {values.mean():.4f}")
    for name, other in (("clone - source", got), ("clone - stratified", flat)):
        gap = own - other
        print(f"{name:<18} {gap.mean():+.4f} ± {t.ppf(0.975, n - 1) * gap.std(ddof=1) / n**0.5:.4f}")


if __name__ == "__main__":
    main()
