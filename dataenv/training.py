"""Training a policy (``dataenv.policy``) on any vector of skill-list students: simulated ones, and real ones to go on.

PPO (Schulman et al., arXiv 1707.06347, with generalised advantages, arXiv 1506.02438) and REINFORCE with a value for
its baseline (Williams, 1992): one loop, for the second is the first with whole returns, one pass, and no ratio to clip.
Evolution strategies (``dataenv.evolution``), for students of which few can be taught, share the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from dataenv.errors import SettingError
from dataenv.evolution import Evolution
from dataenv.oracle import Schedule, refine
from dataenv.policy import HIDDEN, WIDEST, Algorithm, Policy, by_name, features, fresh, look, modes, values
from dataenv.setting import Setting
from dataenv.simulated import SimulatedVectorEnv
from tasks.records import Record, stream

if TYPE_CHECKING:
    import torch
    from gymnasium.vector import VectorEnv

Floats = npt.NDArray[np.float64]
Share = Annotated[float, Field(ge=0, le=1)]
EDGE = 1e-3
"""Actions stay so far from 0 and 1, where the logarithm of their probability has no end."""


class Plan(Record):
    """How a policy is trained.

    Attributes:
        algorithm: ``ppo``, ``reinforce`` or ``es``.
        iterations: Updates of the policy (ES: 12 where not given), each after one episode in every sub-environment.
        group: Sub-environments that teach the same student: what its episodes have in common is no merit of an action,
            and is taken off the advantages (as in RLOO, arXiv 2402.14740). It divides the number of sub-environments.
        rate: Learning rate of Adam (ES: root mean square of its step, in logits; 1 where not given). It falls to zero
            linearly.
        floor: Share of every lesson that is dealt out evenly.
        names: Whether it learns what each skill is worth by its name (``dataenv.policy.by_name``). ES learns only that,
            and a policy that has such numbers goes on learning them either way.
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
    floor: Share = 0.2
    names: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    discount: Share = 1.0
    trace: Share = 0.95
    epochs: Annotated[int, Field(ge=1)] = 4
    batches: Annotated[int, Field(ge=1)] = 4
    clip: Annotated[float, Field(gt=0)] = 0.2
    norm: Annotated[float, Field(gt=0)] = 0.5
    hidden: Annotated[int, Field(ge=1, le=WIDEST)] = HIDDEN
    noise: Annotated[float, Field(gt=0)] = 0.5

    @model_validator(mode="before")
    @classmethod
    def _for_es(cls, given: Any) -> Any:
        """Steps of ES are in other units, and each takes real students."""
        es = isinstance(given, dict) and given.get("algorithm") == "es"
        return {"iterations": 12, "rate": 1.0} | given | {"names": True} if es else given


class Rollout(NamedTuple):
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

    def __init__(self, envs: VectorEnv[Any, Any, Any], plan: Plan) -> None:
        if envs.num_envs % plan.group:
            raise SettingError(f"group is {plan.group} and there are {envs.num_envs} envs; give a divisor of those")
        self._envs, self._group, self.tokens = envs, plan.group, 0
        self._students, self._rng = stream(plan.seed, "policy students"), stream(plan.seed, "policy actions")

    def gather(self, policy: Policy, still: bool = False) -> Rollout:
        """An episode in each, by actions drawn from the policy; one that is over is told to stop until all are.

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
        return Rollout(x, actions, rewards, was, last)


class Learner:
    """The weights as torch has them, and an update of them.

    Args:
        policy: To begin with.
        plan: See ``Plan``.
    """

    def __init__(self, policy: Policy, plan: Plan) -> None:
        import torch

        self._plan, self._floor = plan, policy.floor
        self._rng = stream(plan.seed, "policy batches")
        self._weights = {name: torch.tensor(w, requires_grad=True) for name, w in policy.weights.items()}
        self._adam = torch.optim.Adam(self._weights.values(), lr=plan.rate, eps=1e-5)
        self._made = 0

    @property
    def policy(self) -> Policy:
        """As it is now."""
        return Policy({name: w.detach().numpy().copy() for name, w in self._weights.items()}, self._floor)

    def trial(self, n: int) -> Policy:
        """The policy of ``n`` sub-environments: as it is now, for all of them."""
        return self.policy

    def update(self, rollout: Rollout) -> None:
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


def advantage(rollout: Rollout, held: npt.NDArray[Any], discount: float, trace: float) -> Floats:
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


@dataclass(frozen=True)
class Trained:
    """A policy, the mean return of the episodes before each update, and the student tokens that they took."""

    policy: Policy
    curve: tuple[float, ...]
    tokens: int


def train(
    envs: VectorEnv[Any, Any, Any],
    plan: Plan,
    start: Policy | None = None,
    say: Callable[[int, float], None] = lambda iteration, mean: None,
) -> Trained:
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
    return Trained(learner.policy, tuple(curve), gatherer.tokens)


def worth(teach: Callable[[dict[str, Any]], Any], envs: SimulatedVectorEnv, seeds: Sequence[int]) -> Floats:
    """What episodes with simulated students come to, ``(seeds,)``: the best expected accuracy along each.

    Args:
        teach: From a batch of observations to an action of each.
        envs: As many students, autoreset mode ``SameStep``.
        seeds: One a student.
    """
    observation, _ = envs.reset(seed=seeds)
    best = envs.model.accuracy(np.asarray(observation["loss"], np.float64)).mean(1)
    open_ = np.ones(len(seeds), np.bool_)
    while open_.any():
        observation, _, terminated, truncated, infos = envs.step(teach(observation))
        loss = np.asarray(observation["loss"], np.float64)
        for i in np.flatnonzero(terminated | truncated):
            loss[i] = infos["final_obs"][i]["loss"]
        best = np.where(open_, np.maximum(best, envs.model.accuracy(loss).mean(1)), best)
        open_ &= ~(terminated | truncated)
    return np.asarray(best)


def frozen(policy: Policy, setting: Setting, seeds: Sequence[int]) -> Floats:
    """``worth`` of a policy that learns no more."""
    before: list[dict[str, Floats]] = []

    def teach(observation: dict[str, Any]) -> Any:
        now = look(observation)
        x = features(now, before.pop() if before else now)
        before.append(now)
        return policy.mixture(policy.mode(x))

    return worth(teach, SimulatedVectorEnv(len(seeds), autoreset_mode="SameStep", setting=setting), seeds)


def regrets(policy: Policy, setting: Setting, seeds: Sequence[int]) -> tuple[Floats, Floats]:
    """What a policy comes to, and how much better the best schedule that was found for each student is; ``(seeds,)``.

    That schedule is climbed to from even shares (``dataenv.oracle.refine``), so a regret is a lower bound.
    """
    found = frozen(policy, setting, seeds)
    k = len(setting.built_task.skills)
    best = [refine(setting, seed, Schedule(np.full((8, k), 1 / k), 0.0, 0)).value for seed in seeds]
    return found, np.maximum(np.array(best) - found, 0.0)
