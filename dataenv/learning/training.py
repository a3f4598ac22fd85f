"""Training a policy on any vector of skill-list students: simulated ones, and real ones to go on.

PPO (Schulman et al., arXiv 1707.06347, with generalised advantages, arXiv 1506.02438) and REINFORCE with a value for
its baseline (Williams, 1992): one loop, for the second is the first with whole returns, one pass, and no ratio to clip.
Evolution strategies (``dataenv.learning.evolution``), for students of which few can be taught, share the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataenv.learning.evolution import Evolution
from dataenv.learning.policy import TeacherPolicy, by_name, fresh
from dataenv.learning.ppo import Learner
from dataenv.learning.rollouts import Gatherer, PolicyPlan
from tasks.records import stream

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy, the mean return of the episodes before each update, and the student tokens that they took."""

    policy: TeacherPolicy
    curve: tuple[float, ...]
    tokens: int


def train(
    envs: VectorEnv[Any, Any, Any],
    plan: PolicyPlan,
    start: TeacherPolicy | None = None,
    say: Callable[[int, float], None] = lambda iteration, mean: None,
) -> TrainedPolicy:
    """Train a policy.

    Args:
        envs: See ``Gatherer``.
        plan: How.
        start: To go on from; its floor and width stay. ``None`` for one that has learnt nothing.
        say: Told the iteration and that mean.
    """
    begun, es = start or fresh(stream(plan.seed, "policy"), plan.floor, plan.hidden), plan.algorithm == "es"
    if plan.names or es:
        begun = by_name(begun, envs.single_action_space.shape[0])  # type: ignore[index]  # a mixture has one
    learner = (Evolution if es else Learner)(begun, plan)
    gatherer, curve = Gatherer(envs, plan), []
    for iteration in range(plan.iterations):
        rollout = gatherer.gather(learner.trial(envs.num_envs), still=es)
        learner.update(rollout)
        curve.append(round(float(rollout.rewards.sum(0).mean()), 5))
        say(iteration, curve[-1])
    return TrainedPolicy(learner.policy, tuple(curve), gatherer.tokens)
