"""Learning from pairs: a response that was chosen beside one that was rejected.

DPO (arXiv 2305.18290, equation 7), whose reference is the student as it was when the training began; or likelihood on
what was chosen with unlikelihood (arXiv 1908.04319) on what was rejected, which needs no reference.

What is rejected is given with each example, or it is the student's own: it answers the prompts while it is trained, and
an answer that the task's checker finds wrong makes a pair with the example's response (on-policy preference data, as in
Tülu 3, arXiv 2411.15124, section 5.2, whose judge is a language model).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from students.base import FORWARD, FORWARD_BACKWARD, Data, Dpo, Practice, Recipe, Student
from students.training.loop import Batch, Encoded, Fitted, Optimisation, walked
from students.training.method import Method, Rate
from students.training.policy import Frozen, Policy
from tasks.records import Example, stream

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

LEAST = 1e-6
"""Of the probability that a rejected token is not written: its logarithm stays finite."""


class PairTokens(NamedTuple):
    """Tokens of a prompt, of the response that is chosen, and of the one that is rejected."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


class Preferring(Method):
    """Pairs: DPO, or likelihood with unlikelihood.

    Args:
        policy: The model.
        data: Examples, each with ``rejected``; without any, where the student's own answers are, and then a verdict.
        recipe: With ``dpo``.
        seed: Of the order, and of its own answers.

    Raises:
        ValueError: If an example has nothing to be rejected, or there is no verdict on its own answers.
    """

    def __init__(self, policy: Policy, data: Data, recipe: Recipe, seed: int) -> None:
        if recipe.dpo is None:
            raise ValueError("recipe.dpo is missing; give a recipe of method 'dpo'")
        self._policy, self._recipe, self._seed = policy, recipe, seed
        self._how: Dpo = recipe.dpo
        self._lesson = data.lesson
        self._before = Frozen(policy) if recipe.dpo.variant == "dpo" else None
        self._forward = 0
        self._own = _OwnAnswers(policy, data, recipe.dpo, seed) if recipe.dpo.rejected == "own" else None
        self._given = [] if self._own else [_pair(policy, example) for example in data.lesson]

    @classmethod
    def rate(cls, recipe: Recipe) -> Rate:
        """A pair goes forward and backward, and forward once more for the reference; its own answers forward before."""
        reference = FORWARD if recipe.dpo and recipe.dpo.variant == "dpo" else 0
        own = recipe.dpo is not None and recipe.dpo.rejected == "own"
        return Rate(FORWARD_BACKWARD + reference + (FORWARD if own else 0), metered=own)

    @classmethod
    def size(cls, student: Student, example: Example, recipe: Recipe) -> int:
        """Both of a pair; of its own answers the longest."""
        if recipe.dpo is not None and recipe.dpo.rejected == "own":
            asked = student.tokens(example.model_copy(update={"response": ""}))
            return student.tokens(example) + asked + (recipe.dpo.max_tokens or 0)
        if example.rejected is None:
            return student.tokens(example)
        other = example.model_copy(update={"response": example.rejected, "rejected": None})
        return student.tokens(example) + student.tokens(other)

    @classmethod
    def needs_verdict(cls, recipe: Recipe) -> bool:
        """Where it answers itself."""
        return recipe.dpo is not None and recipe.dpo.rejected == "own"

    @classmethod
    def needs_pairs(cls, recipe: Recipe) -> bool:
        """Where it does not."""
        return not cls.needs_verdict(recipe)

    def run(self, moments: Tensors) -> Fitted:
        """Train; ``moments`` are AdamW's."""
        optimisation = Optimisation(dict(self._policy.parameters), self._loss, self._recipe, moments)
        fitted = optimisation.run(self._batches())
        report = fitted.report.model_copy(update={"forward": self._forward + (self._own.forward if self._own else 0)})
        if self._own:
            report = report.model_copy(update={"practice": self._own.report()})
        return Fitted(report, fitted.moments, fitted.trunk)

    def _batches(self) -> Iterator[Batch]:
        """The chosen responses of some pairs, and behind them the rejected ones."""
        trained = 0
        for picked in walked(len(self._lesson), self._recipe.batch, self._recipe, self._seed):
            if self._own is None:
                pairs = [self._given[i] for i in picked]
            else:
                some = [self._lesson[i] for i in picked]
                spent = FORWARD * (self._forward + self._own.forward) + FORWARD_BACKWARD * trained
                if not self._own.affords(some, spent, self.rate(self._recipe).times):
                    return
                pairs = self._own.pairs(some)
            rows = [(pair.prompt, pair[which]) for which in (1, 2) for pair in pairs]
            encoded = Encoded(rows, self._policy.pad)
            batch = Batch(encoded.ids, encoded.targets, int(encoded.lengths.sum()))
            trained += batch.tokens
            yield batch

    def _loss(self, batch: Batch) -> torch.Tensor:
        scores, mask = self._policy.score(batch, 1.0)
        n = len(scores) // 2
        if self._before is None:
            return unlikelihood_loss(scores[:n], scores[n:], mask[:n], mask[n:], self._how.gamma)
        self._forward += batch.tokens
        gained = ((scores - self._before.score(batch)) * mask).sum(1)
        return dpo_loss(gained[:n], gained[n:], self._how.beta)


class _OwnAnswers:
    """Pairs whose rejected response is a wrong answer of the student as it is at that moment."""

    def __init__(self, policy: Policy, data: Data, how: Dpo, seed: int) -> None:
        import torch

        if data.verdict is None:
            raise ValueError("data.verdict is missing; dpo.rejected 'own' needs a checker that says what is wrong")
        if how.max_tokens is None:
            raise ValueError("recipe.dpo.max_tokens is missing; say how long an answer may be")
        self._policy, self._how, self._verdict, self._longest = policy, how, data.verdict, how.max_tokens
        self._generator = torch.Generator().manual_seed(int(stream(seed, "answers").integers(2**62)))
        self._rewards: list[list[float]] = []
        self.forward = 0

    def affords(self, asked: Sequence[Example], spent: int, times: int) -> bool:
        """Whether the allowance pays for answers to these and for the pairs that they may make.

        Raises:
            ValueError: If it does not pay for the very first ones.
        """
        how, policy = self._how, self._policy
        sizes = (2 * len(policy.prompt(e)) + len(policy.response(e.response)) + self._longest for e in asked)
        most = times * sum(sizes)
        if how.allowance is None or spent + most <= how.allowance:
            return True
        if not self._rewards:
            raise ValueError(f"allowance is {how.allowance} and answers may cost {most}; give that or more")
        return False

    def pairs(self, asked: Sequence[Example]) -> list[PairTokens]:
        """Answer, and keep those that the checker finds wrong."""
        policy = self._policy
        prompts = [list(policy.prompt(example)) for example in asked]
        written = policy.write(prompts, self._longest, self._how.temperature, self._generator)
        self.forward += sum(len(p) + len(w) for p, w in zip(prompts, written, strict=True))
        verdicts = self._verdict([(e, policy.read(w)) for e, w in zip(asked, written, strict=True)])
        self._rewards.append([np.nan if verdict is None else float(verdict) for verdict in verdicts])
        return [
            PairTokens(prompt, list(policy.response(example.response)), list(said))
            for example, prompt, said, verdict in zip(asked, prompts, written, verdicts, strict=True)
            if verdict is False and said
        ]

    def report(self) -> Practice:
        """What came of the answers; each is a group of its own."""
        rewards = np.concatenate([np.asarray(some) for some in self._rewards])
        means = [float(np.nanmean(some)) for some in self._rewards if np.isfinite(some).any()]
        eighth = max(1, len(means) // 8)
        return Practice(
            answers=rewards.size,
            unknown=int(np.isnan(rewards).sum()),
            groups=rewards.size,
            right=int((rewards == 1).sum()),
            wrong=int((rewards == 0).sum()),
            reward=(float(np.mean(means[:eighth])), float(np.mean(means[-eighth:]))) if means else None,
        )


def _pair(policy: Policy, example: Example) -> PairTokens:
    if example.rejected is None:
        raise ValueError(f"example {example.prompt[:40]!r} is no pair; method 'dpo' needs what is rejected")
    chosen, rejected = (list(policy.response(text)) for text in (example.response, example.rejected))
    return PairTokens(list(policy.prompt(example)), chosen, rejected)


def dpo_loss(chosen: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """DPO's loss.

    Args:
        chosen: How much likelier the chosen responses are than under the reference, (pairs,), as log-ratios.
        rejected: The same of the rejected ones.
        beta: How far the student may go from the reference; less is further.
    """
    import torch.nn.functional as F

    return -F.logsigmoid(beta * (chosen - rejected)).mean()


def unlikelihood_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, here: torch.Tensor, there: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Mean of −log p over the chosen tokens, and ``gamma`` times that of −log(1 − p) over the rejected ones.

    Args:
        chosen: Log-probabilities, (pairs, columns).
        rejected: The same.
        here: Which columns of ``chosen`` are targets.
        there: Which of ``rejected`` are.
        gamma: Weight.
    """
    unlikely = (1 - rejected.exp()).clamp(min=LEAST).log()
    return -(chosen * here).sum() / here.sum() - gamma * (unlikely * there).sum() / there.sum()
