"""Rollouts: how a policy is trained, and the episodes that it is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from dataenv.errors import SettingError
from dataenv.learning.policy import HIDDEN, WIDEST, Algorithm, TeacherPolicy, features, look
from tasks.records import Record, stream

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

Floats = npt.NDArray[np.float64]
Fraction = Annotated[float, Field(ge=0, le=1)]
EDGE = 1e-3
"""Actions stay so far from 0 and 1, where the logarithm of their probability has no end."""


class PolicyPlan(Record):
    """How a policy is trained.

    Attributes:
        algorithm: ``ppo``, ``reinforce`` or ``es``.
        iterations: Updates of the policy (ES: 12 where not given), each after one episode in every sub-environment.
        group: Sub-environments that teach the same student: what its episodes have in common is no merit of an action,
            and is taken off the advantages (as in RLOO, arXiv 2402.14740). It divides the number of sub-environments.
        rate: Learning rate of Adam (ES: root mean square of its step, in logits; 1 where not given). It falls to zero
            linearly.
        floor: Share of every lesson that is dealt out evenly.
        names: Whether it learns what each skill is worth by its name (``dataenv.learning.policy.by_name``). ES learns
            only that, and a policy that has such numbers goes on learning them either way.
        seed: Of the first weights, of actions and of batches.
        discount: Of a later reward; 1, for the purse ends an episode.
        trace: ``λ`` of generalised advantages (REINFORCE: 1).
        epochs: Passes over what was gathered, in ``batches`` parts (REINFORCE: one pass, one part).
        batches: See ``epochs``.
        clip: How far the ratio of probabilities may go before it is cut.
        norm: Largest norm of a gradient.
        hidden: Width of the network.
        noise: Standard deviation of what ES tries, in logits.
    """

    algorithm: Algorithm = "ppo"
    iterations: Annotated[int, Field(ge=1)] = 300
    group: Annotated[int, Field(ge=1)] = 8
    rate: Annotated[float, Field(gt=0)] = 0.01
    floor: Fraction = 0.2
    names: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    discount: Fraction = 1.0
    trace: Fraction = 0.95
    epochs: Annotated[int, Field(ge=1)] = 4
    batches: Annotated[int, Field(ge=1)] = 4
    clip: Annotated[float, Field(gt=0)] = 0.2
    norm: Annotated[float, Field(gt=0)] = 0.5
    hidden: Annotated[int, Field(ge=1, le=WIDEST)] = HIDDEN
    noise: Annotated[float, Field(gt=0)] = 0.5

    @model_validator(mode="before")
    @classmethod
    def _for_es(cls, given: Any) -> Any:
        """Set the defaults of ES, whose steps are in other units and train real students."""
        es = isinstance(given, dict) and given.get("algorithm") == "es"
        return {"iterations": 12, "rate": 1.0} | given | {"names": True} if es else given


class PolicyRollout(NamedTuple):
    """Whole episodes, one in each of ``n`` sub-environments; ``T`` is the number of lessons of the longest.

    Attributes:
        x: Features, ``(T, n, k, 7)``.
        actions: ``(T, n, k)``.
        rewards: ``(T, n)``, 0 where the episode was over already.
        open: Whether it was not, ``(T, n)``.
        last: Accuracy by skill at the end, ``(n, k)``.
    """

    x: Floats
    actions: Floats
    rewards: Floats
    open: npt.NDArray[np.bool_]
    last: Floats


class Gatherer:
    """Plays a policy on a vector, episode by episode.

    Args:
        envs: Of level skill-list, autoreset mode ``SameStep``.
        plan: Says the seed of the students and of the drawn actions, and how many share a student.

    Attributes:
        tokens: Student tokens that were spent so far.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any], plan: PolicyPlan) -> None:
        if envs.num_envs % plan.group:
            raise SettingError(f"group is {plan.group} and there are {envs.num_envs} envs; give a divisor of those")
        self._envs, self._group, self.tokens = envs, plan.group, 0
        self._students, self._rng = stream(plan.seed, "policy students"), stream(plan.seed, "policy actions")

    def gather(self, policy: TeacherPolicy, still: bool = False) -> PolicyRollout:
        """An episode in each, by actions drawn from the policy; one that is over gets zeros until all are.

        Args:
            policy: Whose; its numbers for skills may be ``(n, k)``.
            still: Take the most likely action, and draw none.
        """
        n = self._envs.num_envs
        seeds = np.repeat(self._students.integers(2**31, size=n // self._group), self._group)
        observation, _ = self._envs.reset(seed=seeds.tolist())  # type: ignore[arg-type]  # gymnasium's vectors take a list
        now = before = look(observation)
        sharp = float(np.exp(policy.weights["log_concentration"][0]))
        rows, open_, last = [], np.ones(n, np.bool_), now["accuracy"].copy()
        while open_.any():
            x = features(now, before)
            mode = policy.mode(x)
            drawn = mode if still else self._rng.beta(1 + sharp * mode, 1 + sharp * (1 - mode))
            drawn = np.clip(drawn, EDGE, 1 - EDGE)
            action = np.where(open_[:, None], policy.mixture(drawn), np.float32(0.0))
            observation, reward, terminated, truncated, infos = self._envs.step(action)
            rows.append((x, drawn, np.where(open_, reward, 0.0), open_))
            ended = open_ & (terminated | truncated)
            if ended.any():
                self.tokens += int(infos["final_info"]["spent"][ended].sum())
                for i in np.flatnonzero(ended):
                    last[i] = infos["final_obs"][i]["accuracy"]
            before, now, open_ = now, look(observation), open_ & ~ended
        x, actions, rewards, was = (np.stack(column) for column in zip(*rows, strict=True))
        return PolicyRollout(x, actions, rewards, was, last)
