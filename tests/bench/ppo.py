"""PPO in one file, after CleanRL's: a teacher that is learnt, on any numeric view of an environment.

    python tests/bench/ppo.py --level skill-tree --actions multi-discrete --steps 2048

It trains on a toy student that takes milliseconds a lesson; of its two skills one cannot be learnt. ``train`` takes any
function that makes an environment with a 1-D ``Box`` observation and a ``Box``, ``MultiDiscrete`` or ``Discrete``
action. PPO: Schulman et al. (arXiv 1707.06347); generalised advantages: arXiv 1506.02438.
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, Normal

GAMMA, LAMBDA, CLIP, ENTROPY, VALUE, NORM = 0.99, 0.95, 0.2, 0.003, 0.5, 0.5


class Agent(nn.Module):
    """A policy and a value, two small networks; the policy's head fits the action space."""

    def __init__(self, observations: gym.spaces.Box, actions: gym.spaces.Space) -> None:
        super().__init__()
        self.space = actions
        self.sizes = [int(n) for n in np.atleast_1d(getattr(actions, "nvec", getattr(actions, "n", 0)))]
        outputs = actions.shape[0] if isinstance(actions, gym.spaces.Box) else sum(self.sizes)
        self.policy, self.value = (_network(observations.shape[0], n, std) for n, std in ((outputs, 0.01), (1, 1.0)))
        self.log_std = nn.Parameter(torch.full((outputs,), -1.0))

    def act(self, x: torch.Tensor, action: torch.Tensor | None = None):
        """An action (drawn, where none is given), its log-probability and the policy's entropy; one row each."""
        out = self.policy(x)
        if isinstance(self.space, gym.spaces.Box):
            parts = [Normal(0.5 + out, self.log_std.exp())]
            drawn = parts[0].sample() if action is None else action
            return drawn, parts[0].log_prob(drawn).sum(-1), parts[0].entropy().sum(-1)
        parts = [Categorical(logits=logits) for logits in out.split(self.sizes, dim=-1)]
        drawn = torch.stack([p.sample() for p in parts], -1) if action is None else action
        log = sum(p.log_prob(drawn[..., i]) for i, p in enumerate(parts))
        return drawn, log, sum(p.entropy() for p in parts)

    def to_env(self, drawn: torch.Tensor):
        """An action as the environment takes it."""
        if isinstance(self.space, gym.spaces.Box):
            return np.clip(drawn.numpy(), 0.0, 1.0).astype(np.float32)
        return drawn.numpy() if isinstance(self.space, gym.spaces.MultiDiscrete) else int(drawn[0])


def _network(inputs: int, outputs: int, std: float) -> nn.Sequential:
    layers = [nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, std), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def train(make_env, steps: int, seed: int = 0, rollout: int = 128, epochs: int = 6, rate: float = 1e-3) -> list[float]:
    """Train for so many steps of the environment; the return of every episode that ended, in order."""
    torch.manual_seed(seed)
    env = make_env()
    agent = Agent(env.observation_space, env.action_space)
    optimiser = torch.optim.Adam(agent.parameters(), lr=rate, eps=1e-5)
    observation, _ = env.reset(seed=seed)
    returns, total = [], 0.0
    for update in range(steps // rollout):
        optimiser.param_groups[0]["lr"] = rate * (1 - update / (steps // rollout))
        rows = []
        for _ in range(rollout):
            x = torch.as_tensor(observation)
            with torch.no_grad():
                drawn, log, _ = agent.act(x)
                value = agent.value(x)[0]
            observation, reward, terminated, truncated, _ = env.step(agent.to_env(drawn))
            total, over = total + float(reward), terminated or truncated
            rows.append((x, drawn, log, value, float(reward), over))
            if over:  # the purse is in the observation, so an episode that it ends is over and not cut short
                returns.append(total)
                total, (observation, _) = 0.0, env.reset()
        learn(agent, optimiser, rows, torch.as_tensor(observation), epochs)
    return returns


def learn(agent: Agent, optimiser: torch.optim.Optimizer, rows: list, last: torch.Tensor, epochs: int) -> None:
    """One update of PPO on a rollout."""
    x, drawn, log, values = (torch.stack(column) for column in list(zip(*rows, strict=True))[:4])
    with torch.no_grad():
        following = agent.value(last)[0]
    advantages, carried = torch.zeros(len(rows)), torch.tensor(0.0)
    for t in reversed(range(len(rows))):
        reward, over = rows[t][4], rows[t][5]
        delta = reward + GAMMA * following * (not over) - values[t]
        carried = delta + GAMMA * LAMBDA * (not over) * carried
        advantages[t], following = carried, values[t]
    targets = advantages + values
    for _ in range(epochs):
        for some in torch.randperm(len(rows)).split(len(rows) // 4):
            _, now, entropy = agent.act(x[some], drawn[some])
            ratio, gain = (now - log[some]).exp(), advantages[some]
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            policy = torch.max(-gain * ratio, -gain * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
            value = (agent.value(x[some])[:, 0] - targets[some]).square().mean()
            optimiser.zero_grad()
            (policy + VALUE * value - ENTROPY * entropy.mean()).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), NORM)
            optimiser.step()


def main() -> None:
    """Train on the toy student and print how the return grows."""
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import dataenv
    from dataenv import registry
    from tests.toys import PAYING

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", default="skill-tree", choices=("skill-list", "skill-tree"))
    parser.add_argument("--actions", default="multi-discrete", choices=("box", "multi-discrete", "discrete"))
    parser.add_argument("--steps", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    registry.TASKS["branching"] = "tests.toys:Branching"
    registry.STUDENTS["choosy"] = "tests.toys:Choosy"
    id_ = "dataenv/SkillTree-v0" if given.level == "skill-tree" else "dataenv/SkillList-v0"
    returns = train(lambda: dataenv.numeric(gym.make(id_, **PAYING), given.actions), given.steps, given.seed)
    for quarter, part in enumerate(np.array_split(returns, 4), 1):
        print(f"quarter {quarter}: mean return {np.mean(part):.3f} over {len(part)} episodes")


if __name__ == "__main__":
    main()
