"""The training loop that students made of tensors share: batches, schedule, AdamW, patience, and the branch.

A student brings its model's trainable parameters and a function from a batch to its loss; what is random here comes
from the seed that was passed in, so the loop is as pure as the student that calls it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from students.base import Recipe, Trained, TrainingDivergedError
from tasks.records import stream

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

IGNORE = -100
"""The target of a token that carries no loss."""
ADAM_BETAS = (0.9, 0.95)
Ints = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """One update's examples: ``ids`` and ``targets``, (rows, longest), and how many tokens they hold, padding apart."""

    ids: Ints
    targets: Ints
    tokens: int


class Turn(Protocol):
    """What one update is made from. Without a token there is nothing to learn, and no step is made."""

    @property
    def tokens(self) -> int:
        """Tokens that go forward and backward."""


B = TypeVar("B", bound=Turn)


class Encoded:
    """Examples as token arrays ``(n, longest)``: ``ids`` padded, ``targets`` with everything but responses ignored.

    Args:
        rows: The tokens of each example: those of the prompt, and those of the response with its end token.
        pad: What fills a row up.
    """

    def __init__(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int) -> None:
        self.pad = pad
        self.lengths = np.array([len(prompt) + len(response) for prompt, response in rows], dtype=np.int64)
        self.ids = np.full((len(rows), int(self.lengths.max(initial=1))), pad, dtype=np.int64)
        self.targets = np.full_like(self.ids, IGNORE)
        for i, (prompt, response) in enumerate(rows):
            start, end = len(prompt), len(prompt) + len(response)
            self.ids[i, :start], self.ids[i, start:end] = prompt, response
            self.targets[i, start:end] = response

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True)
class Fitted:
    """What a training run comes to; the model itself holds the weights that are examined.

    Attributes:
        report: See ``Trained``.
        moments: AdamW's, to go on with.
        trunk: The parameters to go on with, where the model holds a branch that was cooled down; else empty.
    """

    report: Trained
    moments: Tensors
    trunk: Tensors


def pack(model: Mapping[str, torch.Tensor], fitted: Fitted | None = None) -> bytes:
    """A State's weights: the tensors that are examined, and what training goes on with, as one safetensors blob."""
    from safetensors.torch import save

    parts = {"model": model, "adam": fitted.moments if fitted else {}, "trunk": fitted.trunk if fitted else {}}
    return save({f"{part}.{k}": v.detach().cpu().contiguous() for part, held in parts.items() for k, v in held.items()})


def unpack(weights: bytes, trunk: bool = False) -> tuple[Tensors, Tensors]:
    """The model's tensors and AdamW's moments; with ``trunk`` those to go on with, not the branch that exams see."""
    from safetensors.torch import load

    tensors = load(weights)
    part = "trunk." if trunk and any(k.startswith("trunk.") for k in tensors) else "model."
    parts = ({k.removeprefix(p): v for k, v in tensors.items() if k.startswith(p)} for p in (part, "adam."))
    model, moments = parts
    return model, moments


class Optimisation(Generic[B]):
    """One training run of a model.

    Args:
        parameters: The trainable parameters by name.
        loss_of: The loss of a batch, with a gradient.
        recipe: How.
        moments: AdamW's of the state before; empty to start afresh, and then the rate warms up.
    """

    def __init__(
        self,
        parameters: dict[str, torch.nn.Parameter],
        loss_of: Callable[[B], torch.Tensor],
        recipe: Recipe,
        moments: Tensors,
    ) -> None:
        self._parameters, self._loss_of, self._recipe = parameters, loss_of, recipe
        moments = {} if recipe.optimiser == "reset" else moments
        self._warmup = 0 if moments else recipe.warmup
        self._optimiser = _adamw(parameters, recipe, moments)
        self._losses: list[float] = []
        self._tokens = 0

    def run(self, batches: Iterator[B], look: Callable[[], float] | None = None) -> Fitted:
        """Train by the recipe.

        Args:
            batches: Each is asked for when it is trained on; training ends where they do, if not before.
            look: The loss on the examples that patience watches.

        Raises:
            TrainingDivergedError: If a loss, or a weight at the end, is not finite.
        """
        recipe = self._recipe
        patience = _Patience(recipe, look)
        for batch in islice(batches, recipe.updates):
            self._update(batch, recipe.rate * min(1.0, (len(self._losses) + 1) / (self._warmup + 1)))
            if patience.is_over(len(self._losses)):
                break
        updates, losses = len(self._losses), tuple(self._losses)
        moments, trunk = self._moments(), {}
        if recipe.cooldown:
            moments = {name: tensor.clone() for name, tensor in moments.items()}
            trunk = {name: p.detach().clone() for name, p in self._parameters.items()}
            for i in range(recipe.cooldown):
                share = 0.5 * (1 + math.cos(math.pi * (i + 1) / (recipe.cooldown + 1)))
                self._update(next(batches), recipe.rate * share)
        if not all(bool(p.isfinite().all()) for p in self._parameters.values()):  # by the very last update
            raise TrainingDivergedError(f"weights are not finite after {len(self._losses)} updates; lower recipe.rate")
        eighth = max(1, updates // 8)
        ends = (float(np.mean(losses[:eighth])), float(np.mean(losses[-eighth:])))
        report = Trained(loss=ends, updates=updates, looks=patience.looks, tokens=self._tokens)
        return Fitted(report, moments, trunk)

    def _update(self, batch: B, rate: float) -> None:
        import torch

        if not batch.tokens:
            self._losses.append(0.0)
            return
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self._loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._recipe.clip)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._losses.append(loss.item())
        self._tokens += batch.tokens
        if not math.isfinite(self._losses[-1]):
            raise TrainingDivergedError(
                f"the loss became {self._losses[-1]} at update {len(self._losses)}; lower recipe.rate"
            )

    def _moments(self) -> Tensors:
        out: Tensors = {}
        for name, parameter in self._parameters.items():
            state = self._optimiser.state[parameter]
            if not state:  # no step was made
                continue
            out["step"] = state["step"]
            out[f"exp_avg.{name}"] = state["exp_avg"]
            out[f"exp_avg_sq.{name}"] = state["exp_avg_sq"]
        return out


class _Patience:
    """Counts looks that brought nothing better (Deliberate Practice, arXiv 2502.15588, Algorithm 1)."""

    def __init__(self, recipe: Recipe, look: Callable[[], float] | None) -> None:
        self._recipe, self._look = recipe, look if recipe.patience else None
        self._best, self._worse, self.looks = math.inf, 0, 0

    def is_over(self, updates: int) -> bool:
        """Whether training stalls, asked after each update."""
        if self._look is None or updates % self._recipe.interval:
            return False
        loss, self.looks = self._look(), self.looks + 1
        self._worse = 0 if loss < self._best else self._worse + 1
        self._best = min(self._best, loss)
        return self._worse >= self._recipe.patience


def walked(n: int, size: int, recipe: Recipe, seed: int) -> Iterator[list[int]]:
    """Places in ``range(n)``, ``size`` at a time without end, in epochs: none again before all were seen.

    Epochs are shuffled, or all in the order that was given, as the recipe says.
    """
    rng = stream(seed, "order")
    order: list[int] = []
    while True:
        while len(order) < size:
            order.extend(range(n) if recipe.order == "given" else rng.permutation(n).tolist())
        yield order[:size]
        order = order[size:]


def batches(lesson: Encoded, earlier: Encoded, recipe: Recipe, seed: int) -> Iterator[Batch]:
    """Batches without end, trimmed to their longest row.

    The lesson, which is not empty, is walked in epochs (``walked``); replay is drawn from ``earlier``, again and again.
    """
    replay_rng = stream(seed, "replay")
    replayed = round(recipe.batch * recipe.replay) if len(earlier) else 0
    for picked in walked(len(lesson), recipe.batch - replayed, recipe, seed):
        parts = [(lesson, np.array(picked, dtype=np.int64))]
        if replayed:
            parts.append((earlier, replay_rng.integers(len(earlier), size=replayed)))
        width = max(int(source.lengths[rows].max()) for source, rows in parts)
        ids = np.concatenate([_trim(source.ids[rows], width, source.pad) for source, rows in parts])
        targets = np.concatenate([_trim(source.targets[rows], width, IGNORE) for source, rows in parts])
        yield Batch(ids, targets, sum(int(source.lengths[rows].sum()) for source, rows in parts))


def _trim(rows: Ints, width: int, fill: int) -> Ints:
    """Rows cut or padded to ``width`` columns."""
    if rows.shape[1] >= width:
        return rows[:, :width]
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=fill)


def _adamw(parameters: dict[str, torch.nn.Parameter], recipe: Recipe, moments: Tensors) -> torch.optim.AdamW:
    import torch

    optimiser = torch.optim.AdamW(
        parameters.values(), lr=recipe.rate, betas=ADAM_BETAS, weight_decay=recipe.weight_decay, fused=True
    )
    if moments:
        for name, parameter in parameters.items():
            optimiser.state[parameter] = {
                "step": moments["step"].clone(),
                "exp_avg": moments[f"exp_avg.{name}"].clone(),
                "exp_avg_sq": moments[f"exp_avg_sq.{name}"].clone(),
            }
    return optimiser
