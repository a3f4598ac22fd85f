"""``pocket-stacked``: the student ``pocket`` for cards, several states of which are trained and asked at once.

The model is that of ``pocket.transformer``, in PyTorch, with a first axis for the slots (``training.slots``). One
state is one slot of the same computation, so it has the same bits alone and among others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from students.base import Asked, Data, Decoding, Recipe, Trained
from students.pocket.decoding import draws_for
from students.pocket.stacked import Stacked
from students.pocket.student import Pocket
from students.pocket.vocabulary import FIRST, PAD
from students.training.devices import device_of, repeatable
from students.training.loop import IGNORE, Batch, batches, pack, unpack
from students.training.many import Fit, Made, only
from students.training.slots import SlotsAdamW, StateSlots, must_be_slots, optimisation_of, run_at_once, whole
from tasks.records import Example

if TYPE_CHECKING:
    import torch

    from students.pocket.stacked import Tensors

    Measure = Callable[[Tensors, torch.Tensor, torch.Tensor], torch.Tensor]

PASS = 128
"""Rows of each slot that are measured or answered at once."""


class PocketStacked(Pocket):
    """The pocket student, several states at once.

    Args:
        width: Hidden size.
        layers: Transformer blocks.
        heads: Attention heads.
        context: Longest prompt and response together, in characters and one end token.
        threads: Torch threads. Results are bit-exact within one number of threads.
        slots: States of one computation at the most. On a card all slots are computed in any case.
        device: ``cpu`` or ``cuda``; ``auto`` is ``cuda`` where there is one.
    """

    name = "pocket-stacked"
    methods, has_policy = ("sft",), False
    code = (
        *Pocket.code,
        "students.training.devices",
        "students.training.many",
        "students.training.slots",
        "students.pocket.stacked",
    )

    def __init__(
        self,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        context: int = 64,
        threads: int = 1,
        slots: int = 16,
        device: str = "auto",
    ) -> None:
        super().__init__(width, layers, heads, context, threads)
        must_be_slots(slots)
        if device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"student_args.device is {device!r}; give one of auto, cpu, cuda")
        self.slots, self.device = slots, device_of(device)
        del self.args["backend"]
        self.args |= {"slots": slots, "device": device}
        self._stack = Stacked(layers, heads)

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """Device, float32, threads, instruction set, and the releases that compute."""
        import torch

        on_card = self.device == "cuda"
        isa = (
            "sm_{}{}".format(*torch.cuda.get_device_capability())
            if on_card
            else torch.backends.cpu.get_cpu_capability()
        )
        releases = {"numpy": np.__version__, "torch": torch.__version__.split("+")[0]}
        return {"device": self.device, "dtype": "float32", "threads": self.threads, "isa": isa} | releases

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """See ``Student.fit``: one slot of ``fit_many``."""
        return only(self.fit_many([Fit(weights, data, recipe, seed)])[0])

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        """See ``Student.answer``: one slot of ``answer_many``."""
        return self.answer_many([weights], asked, decoding, seed)[0]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        return self.losses_many([weights], examples)[0]

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean predictive entropy over the response of each example, in nats."""
        return self.entropies_many([weights], examples)[0]

    def alike(self, fit: Fit) -> Any:
        """The width that rows are filled up to. Patience looks at each state by itself, so it is alone."""
        return whole(
            max(map(self.tokens, (*fit.data.lesson, *fit.data.earlier)))
        ), fit.seed if fit.data.watched else None

    def fit_many(self, fits: Sequence[Fit]) -> list[Made]:
        """See ``students.training.many.Slotted``."""
        if not all(fit.data.lesson for fit in fits):
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        recipe, columns = fits[0].recipe, self.alike(fits[0])[0]
        held = [unpack(fit.weights, trunk=True) for fit in fits]
        with repeatable(self.device, self.threads):
            slots = StateSlots([tensors for tensors, _ in held], self.slots, self.device)

            def losses_of(parameters: Tensors, some: Sequence[Batch | None]) -> torch.Tensor:
                ids, targets = _grids(some, recipe.batch, columns, self.device)
                nats = self._stack.nats(parameters, ids, targets)
                return nats.flatten(1).sum(1) / (targets != IGNORE).flatten(1).sum(1).clamp(min=1)

            many: SlotsAdamW[Batch] = SlotsAdamW(slots, losses_of, recipe)
            runs = []
            for i, (fit, (_, moments)) in enumerate(zip(fits, held, strict=True)):
                run = optimisation_of(many, i, recipe, moments)
                endless = batches(self._encoded(fit.data.lesson), self._encoded(fit.data.earlier), recipe, fit.seed)
                runs.append(run.steps(endless, self._look(slots, i, fit.data.watched)))
            done = run_at_once(many, runs)
        return [each if isinstance(each, Exception) else (pack(*each), each[1].report) for each in done]

    def answer_many(
        self, weights: Sequence[bytes], asked: Sequence[Asked], decoding: Decoding, seed: int
    ) -> list[list[str]]:
        """See ``students.training.many.Slotted``."""
        import torch

        encode, most, texts = self.vocabulary.encode, decoding.max_tokens, [text for text, _ in asked]
        rows = [encode(text) if self.vocabulary.count(text) < self.context else [] for text in texts]
        order = sorted((i for i, row in enumerate(rows) if row), key=lambda i: len(rows[i]))
        draws = draws_for(seed, texts, most) if decoding.temperature else np.zeros((len(rows), most))
        said = [[""] * len(rows) for _ in weights]
        with repeatable(self.device, self.threads), torch.inference_mode():
            parameters = self._parameters(weights)
            for start in range(0, len(order), PASS):
                places = order[start : start + PASS]
                some = [rows[i] for i in places]
                rooms = np.array([min(most, self.context - len(row)) for row in some])
                found = self._stack.write(parameters, some, rooms, decoding.temperature, draws[places], FIRST)
                for texts, written in zip(said, found, strict=False):  # behind those that were asked are empty slots
                    for i, tokens in zip(places, written, strict=True):
                        texts[i] = self.vocabulary.decode(tokens)
        return said

    def losses_many(self, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
        """See ``students.training.many.Slotted``."""
        with repeatable(self.device, self.threads):
            return self._each(self._parameters(weights), examples, self._stack.nats)[: len(weights)]

    def entropies_many(self, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
        """See ``students.training.many.Slotted``."""
        with repeatable(self.device, self.threads):
            return self._each(self._parameters(weights), examples, self._stack.entropies)[: len(weights)]

    def _parameters(self, weights: Sequence[bytes]) -> Tensors:
        return StateSlots([unpack(each)[0] for each in weights], self.slots, self.device).parameters

    def _look(self, slots: StateSlots, slot: int, watched: Sequence[Example]) -> Callable[[], float] | None:
        """The loss that patience watches."""
        if not watched:
            return None
        return lambda: float(np.mean(self._each(slots.parameters, watched, self._stack.nats)[slot]))

    def _each(self, parameters: Tensors, examples: Sequence[Example], measure: Measure) -> list[list[float]]:
        """Of each slot, the mean over each example's targets of what is measured there."""
        import torch

        encoded, slots = self._encoded(examples), len(parameters["lm_head.weight"])
        out: list[list[float]] = [[] for _ in range(slots)]
        with torch.inference_mode():
            for start in range(0, len(encoded), PASS):
                rows = slice(start, start + PASS)
                longest = int(encoded.lengths[rows].max())
                batch = Batch(encoded.ids[rows, :longest], encoded.targets[rows, :longest], 0)
                ids, targets = (
                    grid.expand(slots, -1, -1) for grid in _grids([batch], len(batch.ids), whole(longest), self.device)
                )
                counts = (targets != IGNORE).sum(2).clamp(min=1)
                means = measure(parameters, ids, targets).sum(2) / counts
                for each, found in zip(out, means[:, : len(batch.ids)].tolist(), strict=True):
                    each.extend(found)
        return out


def _grids(some: Sequence[Batch | None], rows: int, columns: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens, and what is due behind each, of all slots, (slots, rows, columns)."""
    import torch

    ids = np.full((len(some), rows, columns), PAD, np.int64)
    targets = np.full_like(ids, IGNORE)
    for slot, batch in enumerate(some):
        if batch is not None:
            here = slice(len(batch.ids)), slice(batch.ids.shape[1] - 1)
            ids[slot][here], targets[slot][here] = batch.ids[:, :-1], batch.targets[:, 1:]
    return torch.from_numpy(ids).to(device), torch.from_numpy(targets).to(device)
