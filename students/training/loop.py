"""The training loop that students made of tensors or arrays share: batches, schedule, patience, and the branch.

A student brings its model's trainable parameters and a function from a batch to its loss; what is random here comes
from the seed that was passed in, so the loop is as pure as the student that calls it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from students.base import Recipe, Trained, TrainingDivergedError
from students.training.adamw import AdamW, TensorAdamW
from tasks.records import stream

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

IGNORE = -100
"""The target of a token that carries no loss."""
Ints = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]
V = TypeVar("V")


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
Step = tuple[B, float]
"""What one update is made from, and its rate."""


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
    moments: Mapping[str, Any]
    trunk: Mapping[str, Any]


def pack(model: Mapping[str, Any], fitted: Fitted | None = None) -> bytes:
    """A State's weights: what is examined, and what training goes on with, as one safetensors blob.

    Args:
        model: Tensors or arrays by name.
        fitted: What training left.
    """
    parts = {"model": model, "adam": fitted.moments if fitted else {}, "trunk": fitted.trunk if fitted else {}}
    held = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    if all(isinstance(value, np.ndarray) for value in held.values()):
        from safetensors.numpy import save as save_arrays

        return save_arrays({name: np.asarray(value, order="C") for name, value in held.items()})
    import torch
    from safetensors.torch import save

    tensors = {name: torch.as_tensor(value).detach().cpu().contiguous() for name, value in held.items()}
    return save(tensors)


def unpack(weights: bytes, trunk: bool = False) -> tuple[Tensors, Tensors]:
    """The model's tensors and AdamW's moments; with ``trunk`` those to go on with, not the branch that exams see."""
    from safetensors.torch import load

    return _parts(load(weights), trunk)


def unpack_arrays(weights: bytes, trunk: bool = False) -> tuple[Arrays, Arrays]:
    """The same as NumPy's arrays, which may be written to; by name, for in a blob they have no order."""
    from safetensors.numpy import load

    return _parts({name: np.array(value) for name, value in sorted(load(weights).items())}, trunk)


def _parts(held: dict[str, V], trunk: bool) -> tuple[dict[str, V], dict[str, V]]:
    part = "trunk." if trunk and any(name.startswith("trunk.") for name in held) else "model."
    model, moments = (
        {name.removeprefix(p): value for name, value in held.items() if name.startswith(p)} for p in (part, "adam.")
    )
    return model, moments


class Optimisation(Generic[B]):
    """One training run of a model.

    Args:
        parameters: The trainable parameters by name.
        loss_of: The loss of a batch, with a gradient.
        recipe: How.
        moments: AdamW's of the state before; empty to start afresh, and then the rate warms up.
        adamw: What makes an update: of tensors, or of arrays, whose ``loss_of`` gives loss and gradients.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        loss_of: Callable[[B], Any],
        recipe: Recipe,
        moments: Mapping[str, Any],
        adamw: Callable[..., AdamW[B]] = TensorAdamW,
    ) -> None:
        self._recipe = recipe
        moments = {} if recipe.optimiser == "reset" else moments
        self._warmup = 0 if moments else recipe.warmup
        self._adamw = adamw(parameters, loss_of, recipe, moments)
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
        steps = self.steps(batches, look)
        try:
            batch, rate = next(steps)
            while True:
                batch, rate = steps.send(self._adamw.update(batch, rate))
        except StopIteration as end:
            fitted: Fitted = end.value
            return fitted

    def steps(self, batches: Iterator[B], look: Callable[[], float] | None = None) -> Generator[Step[B], float, Fitted]:
        """The same run, whose updates somebody else makes: it yields a batch and a rate, and is sent the loss.

        So the updates of several models can be made at once (``students.training.slots``).
        """
        recipe = self._recipe
        patience = _Patience(recipe, look)
        for batch in islice(batches, recipe.updates):
            yield from self._step(batch, recipe.rate * min(1.0, (len(self._losses) + 1) / (self._warmup + 1)))
            if patience.is_over(len(self._losses)):
                break
        updates, losses = len(self._losses), tuple(self._losses)
        moments, trunk = self._adamw.moments(), {}
        if recipe.cooldown:
            trunk = self._adamw.parameters()
            for i in range(recipe.cooldown):
                share = 0.5 * (1 + math.cos(math.pi * (i + 1) / (recipe.cooldown + 1)))
                yield from self._step(next(batches), recipe.rate * share)
        if not self._adamw.is_finite():  # by the very last update
            raise TrainingDivergedError(f"weights are not finite after {len(self._losses)} updates; lower recipe.rate")
        eighth = max(1, updates // 8)
        ends = (float(np.mean(losses[:eighth])), float(np.mean(losses[-eighth:])))
        report = Trained(loss=ends, updates=updates, looks=patience.looks, tokens=self._tokens)
        return Fitted(report, moments, trunk)

    def _step(self, batch: B, rate: float) -> Generator[Step[B], float, None]:
        if not batch.tokens:
            self._losses.append(0.0)
            return
        loss = yield batch, rate
        self._losses.append(loss)
        self._tokens += batch.tokens
        if not math.isfinite(loss):
            raise TrainingDivergedError(f"the loss became {loss} at update {len(self._losses)}; lower recipe.rate")


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
