"""Learning from verified answers: the student answers, a checker says what is right, and likelier becomes what was.

GRPO (DeepSeekMath, arXiv 2402.03300, section 4.1), and Dr. GRPO (arXiv 2503.20783), which leaves out two divisions. An
answer's advantage is its reward less the mean of its group, the answers to one problem. A group that is right or wrong
throughout has none: it is counted, and neither goes backward nor is paid for as if it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from students.base import FORWARD, FORWARD_BACKWARD, Data, Grpo, Practice, Recipe, Student, Trained
from students.training.loop import Batch, Encoded, Fitted, Optimisation, walked
from students.training.method import Method, Rate
from students.training.policy import Frozen, Policy
from tasks.records import Example, stream

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

Floats = npt.NDArray[np.float64]
LEAST_SD = 1e-4
"""Added to the standard deviation that advantages are divided by, as in TRL."""


def advantages(rewards: Floats, variant: str = "grpo") -> Floats:
    """What each answer was worth beside those to the same problem.

    Args:
        rewards: ``(problems, group)``; NaN where nobody could tell, and that answer has then no part in its group.
        variant: See ``Grpo``.

    Returns:
        ``(problems, group)``; 0 throughout a group whose rewards are equal, and where nobody could tell.
    """
    known = np.isfinite(rewards)
    n = np.maximum(known.sum(1, keepdims=True), 1)
    centred = np.where(known, rewards - np.where(known, rewards, 0.0).sum(1, keepdims=True) / n, 0.0)
    spread = np.sqrt((centred**2).sum(1, keepdims=True) / np.maximum(n - 1, 1))
    equal = np.where(known, rewards, -np.inf).max(1) == np.where(known, rewards, np.inf).min(1)
    centred[equal] = 0.0  # exactly: a mean of equal rewards may be a rounding error off
    return np.asarray(centred if variant == "dr-grpo" else centred / (spread + LEAST_SD))


@dataclass
class Rollout:
    """Answers that are trained on. ``old`` and ``reference`` are log-probabilities, known from the first update on.

    Attributes:
        batch: The answers that have an advantage.
        advantages: Theirs, ``(rows,)``.
        old: Of the student that wrote them.
        reference: Of the student before this training.
    """

    batch: Batch
    advantages: Floats
    old: torch.Tensor | None = None
    reference: torch.Tensor | None = None

    @property
    def tokens(self) -> int:
        """See ``students.training.loop.Turn``."""
        return self.batch.tokens


class Practising(Method):
    """Verified answers of the student's own: GRPO, Dr. GRPO.

    Args:
        policy: The model.
        data: The problems, and the verdict on answers to them.
        recipe: With ``grpo``, and there ``max_tokens``.
        seed: Of the order of the problems, and of every answer.

    Raises:
        ValueError: If there is no verdict, or no length; from ``run``, if the allowance pays for no answers.
    """

    verifies = True

    def __init__(self, policy: Policy, data: Data, recipe: Recipe, seed: int) -> None:
        import torch

        if data.verdict is None:
            raise ValueError("data.verdict is missing; method 'grpo' needs a checker that says what is right")
        if recipe.grpo is None or recipe.grpo.max_tokens is None:
            raise ValueError("recipe.grpo.max_tokens is missing; say how long an answer may be")
        self._policy, self._data, self._recipe = policy, data, recipe
        self._how: Grpo = recipe.grpo
        self._verdict, self._longest = data.verdict, recipe.grpo.max_tokens
        self._generator = torch.Generator().manual_seed(int(stream(seed, "answers").integers(2**62)))
        self._seed = seed
        self._before = Frozen(policy) if recipe.grpo.kl else None
        self._forward = self._backward = 0
        self._rewards: list[Floats] = []

    @classmethod
    def rate(cls, recipe: Recipe) -> Rate:
        """Answers go forward, once more under a divergence, and those with an advantage forward and backward."""
        assert recipe.grpo is not None, "a recipe of method 'grpo' has grpo"
        return Rate(FORWARD * (2 if recipe.grpo.kl else 1) + FORWARD_BACKWARD * recipe.grpo.passes, metered=True)

    @classmethod
    def size(cls, student: Student, example: Example, recipe: Recipe) -> int:
        """The prompt and the longest answer to it."""
        longest = recipe.grpo.max_tokens if recipe.grpo else None
        return student.tokens(example.model_copy(update={"response": ""})) + (longest or 0)

    def run(self, moments: Tensors) -> Fitted:
        """Train; ``moments`` are AdamW's."""
        optimisation = Optimisation(dict(self._policy.parameters), self._loss, self._recipe, moments)
        fitted = optimisation.run(self._rollouts())
        return Fitted(self._report(fitted.report), fitted.moments, fitted.trunk)

    def _rollouts(self) -> Iterator[Rollout]:
        """Fresh answers, by the student as it is at that moment; each batch as often as there are passes."""
        how = self._how
        for picked in walked(len(self._data.lesson), self._recipe.batch // how.group, self._recipe, self._seed):
            asked = [self._data.lesson[i] for i in picked for _ in range(how.group)]
            prompts = [self._policy.prompt(example) for example in asked]
            most = self._most(prompts)
            if how.allowance is not None and self._cost + most > how.allowance:
                if not self._rewards:
                    raise ValueError(f"allowance is {how.allowance} and answers may cost {most}; give that or more")
                return
            rollout = self._answered(asked, prompts)
            for _ in range(how.passes):
                self._backward += rollout.tokens
                yield rollout

    @property
    def _cost(self) -> int:
        """Student tokens so far."""
        return FORWARD * self._forward + FORWARD_BACKWARD * self._backward

    def _most(self, prompts: Sequence[Sequence[int]]) -> int:
        """What answers to these, and the updates on them, may cost."""
        times = FORWARD * (2 if self._before else 1) + FORWARD_BACKWARD * self._how.passes
        return times * sum(len(prompt) + self._longest for prompt in prompts)

    def _answered(self, asked: Sequence[Example], prompts: Sequence[Sequence[int]]) -> Rollout:
        """Let the student answer problems, and see what is right."""
        how, policy = self._how, self._policy
        written = policy.write(prompts, self._longest, how.temperature, self._generator)
        verdicts = self._verdict([(e, policy.read(w)) for e, w in zip(asked, written, strict=True)])
        rewards = np.array([np.nan if v is None else float(v) for v in verdicts]).reshape(-1, how.group)
        self._rewards.append(rewards)
        self._forward += sum(len(p) + len(w) for p, w in zip(prompts, written, strict=True))
        worth = advantages(rewards, how.variant).ravel()
        # Without a divergence, what has no advantage has no gradient either: it need not go through the model.
        rows: list[int] = (np.arange(len(worth)) if self._before else np.flatnonzero(worth)).tolist()
        encoded = Encoded([(prompts[i], written[i]) for i in rows], policy.pad)
        return Rollout(Batch(encoded.ids, encoded.targets, int(encoded.lengths.sum())), worth[rows])

    def _loss(self, rollout: Rollout) -> torch.Tensor:
        """The clipped surrogate and the divergence, a mean over all answers of the batch, those left out included."""
        import torch

        how = self._how
        scores, mask = self._policy.score(rollout.batch, how.temperature)
        if rollout.old is None:
            rollout.old = scores.detach()
            if self._before:
                rollout.reference = self._before.score(rollout.batch, how.temperature)
                self._forward += rollout.tokens
        worth = torch.from_numpy(rollout.advantages).to(scores)[:, None]
        each = surrogate(scores, rollout.old, worth, how.clip)
        if rollout.reference is not None:
            each = each + how.kl * divergence(scores, rollout.reference)
        each = each * mask
        if how.variant == "dr-grpo":
            return each.sum() / (self._recipe.batch * self._longest)
        return (each.sum(1) / mask.sum(1).clamp(min=1)).sum() / self._recipe.batch

    def _report(self, trained: Trained) -> Trained:
        rewards = np.concatenate(self._rewards)
        known = np.isfinite(rewards)
        means = [float(np.nanmean(r)) for r in self._rewards if np.isfinite(r).any()]  # of what could be told
        eighth = max(1, len(means) // 8)
        practice = Practice(
            answers=rewards.size,
            unknown=int((~known).sum()),
            groups=len(rewards),
            right=int((known.any(1) & np.where(known, rewards == 1, True).all(1)).sum()),
            wrong=int((known.any(1) & np.where(known, rewards == 0, True).all(1)).sum()),
            reward=(float(np.mean(means[:eighth])), float(np.mean(means[-eighth:]))) if means else None,
        )
        return trained.model_copy(update={"forward": self._forward, "practice": practice})


def surrogate(scores: torch.Tensor, old: torch.Tensor, worth: torch.Tensor, clip: float) -> torch.Tensor:
    """PPO's clipped loss of each token, (rows, columns); ``worth`` are advantages, (rows, 1)."""
    import torch

    ratio = (scores - old).exp()
    return -torch.minimum(ratio * worth, ratio.clamp(1 - clip, 1 + clip) * worth)


def divergence(scores: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """DeepSeekMath's estimate of the divergence from the reference at each token, equation 4; never negative."""
    ahead = reference - scores
    return ahead.exp() - ahead - 1
