"""``pocket`` computed by NumPy: no PyTorch, unless a method beyond next-token loss asks for its tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from students.base import Recipe
from students.pocket import arrays
from students.pocket.decoding import Draws, generate
from students.pocket.packed import packed
from students.pocket.transformer import Array, Parameters, Transformer, entropy, token_scores, token_scores_back
from students.training.adamw import ArrayAdamW
from students.training.loop import IGNORE, Batch, Ints, Optimisation, unpack_arrays

if TYPE_CHECKING:
    import torch

PASS = 128
"""Examples that are measured at once: what is computed of them stays in a processor's cache."""


class NumpyModel:
    """One model while it is trained, asked or measured.

    Args:
        weights: A State's.
        trunk: The model to go on with, not the branch that exams see.
        heads: Attention heads.
        context: Longest row.
        threads: Of the linear algebra library.
    """

    def __init__(self, weights: bytes, trunk: bool, heads: int, context: int, threads: int) -> None:
        arrays.keep_memory()
        arrays.set_threads(threads)
        self._threads = threads
        self.state, self._moments = unpack_arrays(weights, trunk)
        self._model = Transformer(self.state, heads)

    @staticmethod
    def numerics() -> dict[str, Any]:
        """What computes; PyTorch's release too, for methods beyond next-token loss. It is not imported for that."""
        return arrays.numerics() | {"torch": version("torch").split("+")[0]}

    def optimisation(self, recipe: Recipe) -> Optimisation[Batch]:
        """A training run by next-token loss."""
        return Optimisation(self.state, self._loss_of, recipe, self._moments, ArrayAdamW)

    def losses(self, ids: Ints, targets: Ints) -> list[float]:
        """Mean loss of each row, in nats per target; see ``students.training.loop.Encoded``."""
        return self._each(ids, targets, lambda logits, due: -token_scores(logits, due)[0])

    def entropies(self, ids: Ints, targets: Ints) -> list[float]:
        """Mean entropy of each row over its targets."""
        return self._each(ids, targets, lambda logits, due: entropy(logits))

    def write(
        self, rows: Sequence[Sequence[int]], rooms: Ints, temperature: float, draws: Draws, ends: int
    ) -> list[list[int]]:
        """See ``students.pocket.decoding.generate``."""
        with np.errstate(all="ignore"):
            return generate(self._model, rows, rooms, temperature, draws, ends)

    def tensors(self) -> tuple[dict[str, torch.nn.Parameter], dict[str, torch.Tensor]]:
        """Parameters and moments as tensors; the parameters share their memory with the model's."""
        import torch

        torch.set_num_threads(self._threads)
        parameters = {name: torch.nn.Parameter(torch.from_numpy(value)) for name, value in self.state.items()}
        return parameters, {name: torch.from_numpy(value) for name, value in self._moments.items()}

    def score(
        self, parameters: dict[str, torch.nn.Parameter], batch: Batch, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability of each target, (rows, columns), as one function of the parameters with a gradient."""
        import torch

        targets = batch.targets[:, 1:]
        asked = targets != IGNORE
        model, due = self._model, targets[asked]

        class Scores(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *values: torch.Tensor) -> torch.Tensor:
                logits, ctx.tape = model.forward(packed(batch.ids[:, :-1], asked))
                scores, ctx.probabilities = token_scores(logits / temperature, due)
                out = np.zeros(asked.shape, scores.dtype)
                out[asked] = scores
                return torch.from_numpy(out)

            @staticmethod
            def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor, ...]:
                back = token_scores_back(upstream.numpy()[asked], ctx.probabilities, due) / temperature
                gradients = model.backward(ctx.tape, back)
                return tuple(torch.from_numpy(gradients[name]) for name in parameters)

        scores: torch.Tensor = Scores.apply(*parameters.values())  # type: ignore[no-untyped-call]
        return scores, torch.from_numpy(asked)

    def _loss_of(self, batch: Batch) -> tuple[float, Parameters]:
        """Mean loss over all targets of a batch, and its gradient."""
        targets = batch.targets[:, 1:]
        asked = targets != IGNORE
        due = targets[asked]
        logits, tape = self._model.forward(packed(batch.ids[:, :-1], asked))
        scores, probabilities = token_scores(logits, due)
        upstream = np.full(len(due), -1 / len(due), logits.dtype)
        gradients = self._model.backward(tape, token_scores_back(upstream, probabilities, due))
        return -float(scores.mean()), gradients

    def _each(self, ids: Ints, targets: Ints, measure: Callable[[Array, Ints], Array]) -> list[float]:
        out: list[float] = []
        for start in range(0, len(ids), PASS):
            some = targets[start : start + PASS, 1:]
            asked = some != IGNORE
            with np.errstate(all="ignore"):
                logits, _ = self._model.forward(packed(ids[start : start + PASS, :-1], asked))
                row = np.nonzero(asked)[0]
                totals = np.bincount(row, measure(logits, some[asked]), minlength=len(some))
                out.extend((totals / asked.sum(1)).tolist())
        return out
