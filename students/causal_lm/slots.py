"""A pre-trained network with several adapters at once; see ``training.slots`` and ``causal_lm.adapters``.

The rows of a slot are laid out as if it were alone: filled up to a width that depends on what they hold, with a place
to spare, for where no row has one ``transformers`` leaves the mask out and takes another kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from students.base import Recipe
from students.causal_lm import ragged
from students.causal_lm.network import Network
from students.causal_lm.rows import Row, nats, row_of
from students.training.loop import IGNORE, Batch, Encoded, batches, pack, unpack
from students.training.many import Made
from students.training.slots import SlotsAdamW, StateSlots, optimisation_of, run_at_once, whole

if TYPE_CHECKING:
    import torch

    from students.causal_lm.rows import Score

    Tensors = dict[str, torch.Tensor]

NOTHING: Row = (0,), ()
"""Fills up the rows of a slot: one token is read, and nothing is due."""


@dataclass(frozen=True)
class LmFit:
    """What one state is trained on; see ``students.base.Data``."""

    weights: bytes
    lesson: Encoded
    earlier: Encoded
    watched: Sequence[Row]
    seed: int


class LmSlots:
    """States of one network side by side.

    Args:
        network: With an adapter.
        slots: Most states at once.
        most: Tokens and logits that there may be at once where nothing is trained.
        micro_batch: Rows of each slot that go forward and backward at once, 0 for a whole batch.
    """

    def __init__(self, network: Network, slots: int, most: tuple[int, int], micro_batch: int) -> None:
        self._network, self._slots, self._micro_batch = network, slots, micro_batch
        tokens, logits = most
        self._most = max(1, tokens // slots)
        self._most_measured = max(1, min(tokens, logits // network.vocabulary) // slots)

    def fit(self, lessons: Sequence[LmFit], recipe: Recipe) -> list[Made]:
        """Train each state on its lesson, by next-token loss."""
        import torch

        parts = [part for each in lessons for part in (each.lesson, each.earlier) if len(part)]
        columns = whole(max(int(part.lengths.max()) for part in parts))  # the last token is not read
        keep = whole(max(int((part.targets != IGNORE).sum(1).max()) for part in parts))
        with self._beside([each.weights for each in lessons], trunk=True) as (slots, held):

            def losses_of(parameters: Tensors, some: Sequence[Batch | None]) -> Iterator[torch.Tensor]:
                rows, size = [self._rows(batch, recipe.batch) for batch in some], self._micro_batch or recipe.batch
                counts = torch.tensor([max(1, sum(len(r) for _, r in own)) for own in rows], device=slots.device)
                for start in range(0, recipe.batch, size):
                    logits, targets = self._logits(
                        parameters, [own[start : start + size] for own in rows], columns, keep
                    )
                    lost = nats(logits.flatten(0, 1), targets.clamp(min=0).flatten()).view(targets.shape)
                    yield (lost * (targets != IGNORE)).sum(1) / counts

            many: SlotsAdamW[Batch] = SlotsAdamW(slots, losses_of, recipe)
            runs = []
            for i, each in enumerate(lessons):
                run = optimisation_of(many, i, recipe, held[i])
                look = self._look(slots, i, each.watched) if each.watched else None
                runs.append(run.steps(batches(each.lesson, each.earlier, recipe, each.seed), look))
            done = run_at_once(many, runs)
        return [each if isinstance(each, Exception) else (pack(*each), each[1].report) for each in done]

    def write(
        self,
        weights: Sequence[bytes],
        rows: Sequence[Sequence[int]],
        rooms: Sequence[int],
        stops: frozenset[int],
        temperature: float,
        draws: Callable[[], Sequence[torch.Generator]],
    ) -> list[list[list[int]]]:
        """What each state writes behind the same rows, where there is room; see ``ragged.generate``.

        Args:
            weights: Of the states.
            rows: Tokens.
            rooms: The most new tokens of each row; nothing is written where that is 0.
            stops: Tokens that end an answer.
            temperature: 0 is greedy.
            draws: Makes a generator for each row, the same for each state.
        """
        import torch

        written: list[list[list[int]]] = [[[] for _ in rows] for _ in weights]
        with self._beside(weights) as (slots, _):
            own = [draws() for _ in range(slots.room)] if temperature else []
            for places in ragged.turns(rows, rooms, max(rooms, default=0), self._most):
                some, room = [tuple(rows[i]) for i in places], [rooms[i] for i in places]
                spare = whole(len(some)) - len(some)  # rows of one token, of which one more is written
                some, room = some + [(0,)] * spare, room + [1] * spare
                kept, width = [1] * len(some) * slots.room, whole(len(max(some, key=len)) + 1)
                laid = ragged.lay(some * slots.room, kept, self._network.device, reach=0, width=width)
                drawn = [
                    g for each in own for g in (*(each[i] for i in places), *(torch.Generator() for _ in range(spare)))
                ]
                with self._network.autocast(), self._network.through(slots.parameters, len(kept)):
                    found = ragged.generate(
                        self._network.model, laid, room * slots.room, stops, temperature, drawn, stay=True
                    )
                for k in range(len(weights)):
                    for i, tokens in zip(places, found[k * len(some) :], strict=False):
                        written[k][i] = tokens
        return written

    def each(self, weights: Sequence[bytes], rows: Sequence[Row], score: Score) -> list[list[float]]:
        """Of each state, the mean of a score over each row's response tokens."""
        with self._beside(weights) as (slots, _):
            return self._each(slots, rows, score)[: len(weights)]

    @contextmanager
    def _beside(self, weights: Sequence[bytes], trunk: bool = False) -> Iterator[tuple[StateSlots, list[Tensors]]]:
        held = [unpack(each, trunk) for each in weights]
        with self._network.beside([tensors for tensors, _ in held], self._slots) as slots:
            yield slots, [moments for _, moments in held]

    def _rows(self, batch: Batch | None, n: int) -> list[Row]:
        """The rows of a batch, filled up to ``n``."""
        found = [] if batch is None else [row_of(*each) for each in zip(batch.ids, batch.targets, strict=True)]
        return found + [NOTHING] * (n - len(found))

    def _look(self, slots: StateSlots, slot: int, watched: Sequence[Row]) -> Callable[[], float]:
        """The loss that patience watches."""
        return lambda: float(np.mean(self._each(slots, watched, nats)[slot]))

    def _logits(
        self, parameters: Tensors, rows: Sequence[Sequence[Row]], columns: int, keep: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced: logits in float32 (slots, n, vocabulary), and what is due, (slots, n), else ``IGNORE``.

        Args:
            parameters: Of all slots.
            rows: Of each slot, the same number.
            columns: More than the tokens of the longest row without its last.
            keep: At least the tokens of the longest response; n is so many for each row.
        """
        import torch

        network, flat = self._network, [row for own in rows for row in own]
        inputs, kept = [(*p, *r[:-1]) for p, r in flat], [len(r) for _, r in flat]
        laid = ragged.lay(inputs, kept, network.device, reach=0, width=columns)
        with network.autocast(), network.through(parameters, len(flat)):
            logits = ragged.forward(network.model, laid, keep)[0]
        due = [[IGNORE] * (keep - len(response)) + list(response) for _, response in flat]
        targets = torch.tensor(due, device=network.device).view(len(rows), -1)
        return logits.float().view(*targets.shape, -1), targets

    def _each(self, slots: StateSlots, rows: Sequence[Row], score: Score) -> list[list[float]]:
        import torch

        out = [[0.0] * len(rows) for _ in range(slots.room)]
        whole_rows = [(*prompt, *response) for prompt, response in rows]
        with torch.no_grad():
            for places in ragged.turns(whole_rows, [1] * len(rows), 0, self._most_measured):
                some = [rows[i] for i in places]
                lengths = [len(response) for _, response in some]
                columns = whole(max(len(whole_rows[i]) for i in places))
                logits, targets = self._logits(slots.parameters, [some] * slots.room, columns, whole(max(lengths)))
                due = targets != IGNORE
                scores = score(logits[due], targets[due]).view(slots.room, -1).cpu()
                for own, found in zip(out, scores, strict=True):
                    for i, each in zip(places, found.split(lengths), strict=True):
                        own[i] = float(each.mean())
        return out
