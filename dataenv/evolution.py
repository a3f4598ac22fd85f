"""Evolution strategies for a policy that knows skills by name: what to learn on students of which few can be taught.

A few numbers, one for each skill (``dataenv.policy.by_name``), are tried higher and lower, the same all through an
episode, in antithetic pairs on one student (Salimans et al., arXiv 1703.03864). Noise that is drawn anew for each
lesson, as PPO's and REINFORCE's is, leaves little of itself in what the whole purse went to; this does not.

A return says how much a student has learnt, and not what. What is seen by skill says more: each skill's accuracy at
the end is put down to the share that it had of the purse, ``β_i`` for each unit of that share's logarithm. So a skill
that is never learnt adds no noise to the verdict on another. A unit of share is worth ``β_i / p_i`` there, and the
numbers go up and down by how much more or less that is than the mean: the exponentiated gradient (Kivinen and Warmuth,
1997) on shares. What one skill's lessons do for another's is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dataenv.errors import SettingError
from dataenv.policy import SKILLS, Floats, Policy
from tasks.records import stream

if TYPE_CHECKING:
    from dataenv.training import Plan, Rollout

LEAST = 1e-9


class Evolution:
    """A policy, tried in several forms, and moved towards those that taught better.

    Args:
        policy: To begin with; knows skills by name.
        plan: See ``dataenv.training.Plan``; ``group`` is even.
    """

    def __init__(self, policy: Policy, plan: Plan) -> None:
        if plan.group % 2:
            raise SettingError(f"group is {plan.group}; give an even one, for es tries each change both ways")
        self.policy, self._plan = policy, plan
        self._rng, self._made = stream(plan.seed, "policy trials"), 0

    def trial(self, n: int) -> Policy:
        """The policy of ``n`` sub-environments: its number for each skill is ``(n, k)``, two by two around its own."""
        noise = self._plan.noise * self._rng.standard_normal((n // 2, len(self.policy.weights[SKILLS])))
        both = np.stack([noise, -noise], 1).reshape(n, -1).astype(np.float32)
        return Policy(self.policy.weights | {SKILLS: self.policy.weights[SKILLS] + both}, self.policy.floor)

    def update(self, rollout: Rollout) -> None:
        """Learn from what such a trial came to."""
        shares = mean_shares(rollout, self.policy)
        worth = marginal(shares, rollout.last, self._plan.group)
        even = shares.mean(0)
        lead = worth - (even * worth).sum()
        step = self._plan.rate * (1 - self._made / self._plan.iterations) / max(float(np.sqrt((lead**2).mean())), LEAST)
        self._made += 1
        names = (self.policy.weights[SKILLS] + step * lead).astype(np.float32)
        self.policy = Policy(self.policy.weights | {SKILLS: names}, self.policy.floor)


def mean_shares(rollout: Rollout, policy: Policy) -> Floats:
    """What each episode's lessons were made of, ``(n, k)``, rows of sum 1."""
    shares = np.where(rollout.open[..., None], policy.mixture(rollout.actions).astype(np.float64), 0.0).sum(0)
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def marginal(shares: Floats, accuracy: Floats, group: int) -> Floats:
    """What a unit of share is worth to each skill, ``(k,)``: the slope of accuracy over log share, by the share.

    Args:
        shares: Of each episode, ``(n, k)``.
        accuracy: At its end, ``(n, k)``.
        group: Episodes of one student, which follow each other; what they have in common is taken off.
    """
    seen, came = (_apart(part, group) for part in (np.log(shares), accuracy))
    slope = (seen * came).sum(0) / np.maximum((seen**2).sum(0), LEAST)
    return np.asarray(slope / shares.mean(0))


def _apart(values: Floats, group: int) -> Floats:
    parts = values.reshape(-1, group, values.shape[-1])
    return np.asarray(parts - parts.mean(1, keepdims=True)).reshape(values.shape)
