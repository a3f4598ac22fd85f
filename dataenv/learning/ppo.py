"""PPO and REINFORCE: an update of a policy from the episodes that were gathered by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataenv.learning.policy import TeacherPolicy, modes, values
from dataenv.learning.rollouts import Floats, PolicyPlan, PolicyRollout
from tasks.records import stream

if TYPE_CHECKING:
    import torch


class Learner:
    """The weights as torch has them, and an update of them.

    Args:
        policy: To begin with.
        plan: See ``PolicyPlan``.
    """

    def __init__(self, policy: TeacherPolicy, plan: PolicyPlan) -> None:
        import torch

        self._plan, self._floor = plan, policy.floor
        self._rng = stream(plan.seed, "policy batches")
        self._weights = {name: torch.tensor(w, requires_grad=True) for name, w in policy.weights.items()}
        self._adam = torch.optim.Adam(self._weights.values(), lr=plan.rate, eps=1e-5)
        self._made = 0

    @property
    def policy(self) -> TeacherPolicy:
        """As it is now."""
        return TeacherPolicy({name: w.detach().numpy().copy() for name, w in self._weights.items()}, self._floor)

    def trial(self, n: int) -> TeacherPolicy:
        """The policy of ``n`` sub-environments: as it is now, for all of them."""
        return self.policy

    def update(self, rollout: PolicyRollout) -> None:
        """Learn from what was gathered by the policy as it is now."""
        import torch

        torch.set_num_threads(1)  # the order of sums depends on it, and students trained in this process set their own
        plan, ppo = self._plan, self._plan.algorithm == "ppo"
        self._adam.param_groups[0]["lr"] = plan.rate * (1 - self._made / plan.iterations)
        self._made += 1
        x, drawn = (torch.tensor(part[rollout.open], dtype=torch.float32) for part in (rollout.x, rollout.actions))
        with torch.no_grad():
            old, found = self._likely(x, drawn)
        held = np.zeros(rollout.open.shape)
        held[rollout.open] = found.numpy()
        gains = advantage(rollout, held, plan.discount, plan.trace if ppo else 1.0)
        targets = torch.tensor((gains + held)[rollout.open], dtype=torch.float32)
        gain = torch.tensor(without_common(gains, rollout.open, plan.group)[rollout.open], dtype=torch.float32)
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        for _ in range(plan.epochs if ppo else 1):
            order = torch.from_numpy(self._rng.permutation(len(x)))
            for some in order.tensor_split(plan.batches) if ppo else (order,):
                self._step(x[some], drawn[some], old[some], gain[some], targets[some])

    def _step(
        self, x: torch.Tensor, drawn: torch.Tensor, old: torch.Tensor, gain: torch.Tensor, targets: torch.Tensor
    ) -> None:
        import torch

        now, value = self._likely(x, drawn)
        if self._plan.algorithm == "ppo":
            ratio, clip = (now - old).exp(), self._plan.clip
            loss = torch.max(-gain * ratio, -gain * ratio.clamp(1 - clip, 1 + clip)).mean()
        else:
            loss = -(gain * now).mean()
        self._adam.zero_grad()
        (loss + (value - targets).square().mean()).backward()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), self._plan.norm)
        self._adam.step()

    def _likely(self, x: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logarithm of the probability density of actions ``(rows, k)``, and the values; ``(rows,)`` each."""
        import torch

        mode = modes(self._weights, x, torch.tanh)
        sharp = self._weights["log_concentration"].exp()
        beta = torch.distributions.Beta(1 + sharp * mode, 1 + sharp * (1 - mode), validate_args=False)
        return beta.log_prob(drawn).sum(-1), values(self._weights, x, torch.tanh)


def advantage(rollout: PolicyRollout, held: npt.NDArray[Any], discount: float, trace: float) -> Floats:
    """Generalised advantages, ``(T, n)``, from values ``(T, n)`` that are 0 where an episode is over."""
    out, carried, following = np.zeros_like(held), np.zeros(held.shape[1]), np.zeros(held.shape[1])
    for t in reversed(range(len(out))):
        carried = rollout.rewards[t] + discount * following - held[t] + discount * trace * carried
        out[t], following = carried, held[t]
    return out


def without_common(gains: Floats, open_: npt.NDArray[np.bool_], group: int) -> Floats:
    """Advantages ``(T, n)`` less their mean over the episodes of one student that are at the same lesson."""
    if group == 1:
        return gains
    parts, counts = (part.reshape(len(gains), -1, group) for part in (np.where(open_, gains, 0.0), open_))
    mean = parts.sum(-1) / np.maximum(counts.sum(-1), 1)
    return np.asarray(gains - np.repeat(mean, group, axis=1))
