"""Evolution strategies for a policy that knows skills by name: what to learn on students of which few can be taught.

A few numbers, one for each skill (``dataenv.learning.policy.by_name``), are tried higher and lower, the same all
through an episode, in antithetic pairs on one student (the design is of Salimans et al., arXiv 1703.03864). Noise that
is drawn anew for each lesson, as PPO's and REINFORCE's is, leaves little of itself in what all lessons were made of;
this stays.

A return says how much a student has learnt, and not what. What is seen by skill says more: over the episodes of one
student, each skill's accuracy at the end is regressed on the logarithm of its own share of the lessons. With that slope
``β_i``, a unit of share is worth ``β_i / p_i`` to skill i, and its number goes up or down by how much more or less that
is than the mean, after the exponentiated gradient on shares (Kivinen and Warmuth, 1997). A skill that stays at one
accuracy adds no noise. What one skill's lessons do for another's is left out, and a step is of one size (``rate``, root
mean square over skills) however sure its direction is. Numbers far above 0 hardly change a share, for actions end at 1,
so with several such skills their slopes are told apart badly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dataenv.errors import SettingError
from dataenv.learning.policy import SKILLS, Floats, TeacherPolicy
from tasks.records import stream

if TYPE_CHECKING:
    from dataenv.learning.rollouts import PolicyPlan, PolicyRollout

LEAST = 1e-9
"""Below this there is nothing to divide by."""


class Evolution:
    """A policy, tried in several forms, and moved towards those that taught better.

    Args:
        policy: To begin with; knows skills by name.
        plan: See ``dataenv.learning.rollouts.PolicyPlan``.

    Attributes:
        policy: As it is now.

    Raises:
        SettingError: If ``group`` is odd, or the floor is all of a lesson, so that no share can change.
    """

    def __init__(self, policy: TeacherPolicy, plan: PolicyPlan) -> None:
        if plan.group % 2:
            raise SettingError(f"group is {plan.group}; give an even one, for es tries each change both ways")
        if policy.floor == 1:
            raise SettingError("floor is 1, so es has nothing to try; give less, or start from a policy with less")
        self.policy, self._plan = policy, plan
        self._rng, self._made = stream(plan.seed, "policy trials"), 0

    def trial(self, n: int) -> TeacherPolicy:
        """The policy of ``n`` sub-environments: its number for each skill is ``(n, k)``, two by two around its own."""
        noise = self._plan.noise * self._rng.standard_normal((n // 2, len(self.policy.weights[SKILLS])))
        both = np.stack([noise, -noise], 1).reshape(n, -1).astype(np.float32)
        return TeacherPolicy(self.policy.weights | {SKILLS: self.policy.weights[SKILLS] + both}, self.policy.floor)

    def update(self, rollout: PolicyRollout) -> None:
        """Learn from what such a trial came to."""
        shares = mean_shares(rollout, self.policy)
        gain = marginal(shares, rollout.last, self._plan.group)
        lead = gain - (shares.mean(0) * gain).sum()
        step = self._plan.rate * (1 - self._made / self._plan.iterations) / max(float(np.sqrt((lead**2).mean())), LEAST)
        self._made += 1
        names = (self.policy.weights[SKILLS] + step * lead).astype(np.float32)
        self.policy = TeacherPolicy(self.policy.weights | {SKILLS: names}, self.policy.floor)


def mean_shares(rollout: PolicyRollout, policy: TeacherPolicy) -> Floats:
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
