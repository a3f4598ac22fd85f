"""Learning from pairs: a response that was chosen beside one that was rejected.

DPO (arXiv 2305.18290, equation 7), whose reference is the student as it was when the training began; or likelihood on
what was chosen with unlikelihood (arXiv 1908.04319) on what was rejected, which needs no reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from students.base import Data, Dpo, Recipe
from students.loop import Batch, Encoded, Fitted, Optimisation, shuffled
from students.policy import Frozen, Policy

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

LEAST = 1e-6
"""Of the probability that a rejected token is not written: its logarithm stays finite."""


class Preferring:
    """One training run on pairs.

    Args:
        policy: The model.
        data: Examples, each with ``rejected``.
        recipe: With ``dpo``.
        seed: Of the order.

    Raises:
        ValueError: If an example has nothing to be rejected.
    """

    def __init__(self, policy: Policy, data: Data, recipe: Recipe, seed: int) -> None:
        if recipe.dpo is None:
            raise ValueError("recipe.dpo is missing; give a recipe of method 'dpo'")
        self._rows: list[tuple[list[int], list[int], list[int]]] = []
        for example in data.lesson:
            if example.rejected is None:
                raise ValueError(f"example {example.prompt[:40]!r} is no pair; method 'dpo' needs what is rejected")
            texts = (example.response, example.rejected)
            chosen, rejected = (list(policy.response(text)) for text in texts)
            self._rows.append((list(policy.prompt(example)), chosen, rejected))
        self._policy, self._recipe, self._seed = policy, recipe, seed
        self._how: Dpo = recipe.dpo
        self._before = Frozen(policy) if recipe.dpo.variant == "dpo" else None
        self._forward = 0

    def run(self, moments: Tensors) -> Fitted:
        """Train; ``moments`` are AdamW's."""
        optimisation = Optimisation(dict(self._policy.parameters), self._loss, self._recipe, moments)
        fitted = optimisation.run(self._batches())
        report = fitted.report.model_copy(update={"forward": self._forward})
        return Fitted(report, fitted.moments, fitted.trunk)

    def _batches(self) -> Iterator[Batch]:
        """The chosen responses of some pairs, and behind them the rejected ones."""
        for picked in shuffled(len(self._rows), self._recipe.batch, self._seed):
            rows = [(self._rows[i][0], self._rows[i][which]) for which in (1, 2) for i in picked]
            encoded = Encoded(rows, self._policy.pad)
            yield Batch(encoded.ids, encoded.targets, int(encoded.lengths.sum()))

    def _loss(self, batch: Batch) -> torch.Tensor:
        scores, mask = self._policy.score(batch, 1.0)
        n = len(scores) // 2
        if self._before is None:
            return unlikelihood_loss(scores[:n], scores[n:], mask[:n], mask[n:], self._how.gamma)
        self._forward += batch.tokens
        gained = ((scores - self._before.score(batch)) * mask).sum(1)
        return dpo_loss(gained[:n], gained[n:], self._how.beta)


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
