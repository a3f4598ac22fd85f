"""States side by side: the weights of several students in tensors whose first axis is the slot, and AdamW on them.

What is computed of one slot must not depend on the others, to the bit. So every product is a batch of products of one
shape, one for each slot; sums run within a slot; and each slot begins at a multiple of ``ALIGNED`` bytes, for kernels
may add in another order where an array begins elsewhere. A card chooses its kernels by the number of products too, so
there a computation always has all its slots, and what is not used is zero. A processor computes those that are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from students.base import Recipe, TrainingDivergedError
from students.training.adamw import BETAS, EPSILON
from students.training.loop import Fitted, Optimisation, Step, Turn

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

B = TypeVar("B", bound=Turn)
ALIGNED = 64
"""Bytes of a cache line, at a multiple of which PyTorch's arrays begin."""
UNIT = 16
"""Rows and columns are filled up to a multiple of this, so that whatever follows them is aligned."""
MOST = 1024
"""Slots at most."""


def whole(n: int) -> int:
    """``n`` rounded up to a multiple of ``UNIT``, at least one of it."""
    return max(1, math.ceil(n / UNIT)) * UNIT


def must_be_slots(slots: object) -> None:
    """Refuse what is no number of slots, with a ValueError."""
    if not isinstance(slots, int) or isinstance(slots, bool) or not 1 <= slots <= MOST:
        raise ValueError(f"student_args.slots is {slots!r}; give a whole number from 1 to {MOST}")


def room_of(device: str, slots: int, used: int) -> int:
    """How many slots are computed where so many of them are used."""
    return slots if device == "cuda" else used


class StateSlots:
    """Weights side by side.

    Args:
        states: Of each slot that is used, the trained tensors by name; alike in names and shapes.
        slots: Most slots of one computation.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, states: Sequence[Mapping[str, torch.Tensor]], slots: int, device: str) -> None:
        import torch

        if not 0 < len(states) <= slots:
            raise ValueError(f"{len(states)} states are given to {slots} slots; give at least one, and at most that")
        self.used, self.device = len(states), device
        self.room = room_of(device, slots, self.used)
        self._shapes = {name: tensor.shape for name, tensor in sorted(states[0].items())}
        self._places: dict[str, tuple[int, int]] = {}
        size = 0
        for name, shape in self._shapes.items():
            self._places[name] = size, size + shape.numel()
            size += whole(shape.numel())
        self.flat = torch.zeros(self.room, size, device=device)
        for i, state in enumerate(states):
            for name, view in self.of(self.flat, i).items():
                view.copy_(state[name])

    def views(self, flat: torch.Tensor) -> Tensors:
        """Parts of a flat tensor (slots, size) by name, (slots, …)."""
        return {
            name: flat[:, begin:end].view(len(flat), *self._shapes[name]) for name, (begin, end) in self._places.items()
        }

    def of(self, flat: torch.Tensor, slot: int) -> Tensors:
        """Parts of one slot by name."""
        return {name: flat[slot, begin:end].view(self._shapes[name]) for name, (begin, end) in self._places.items()}

    @property
    def parameters(self) -> Tensors:
        """By name, (slots, …); views."""
        return self.views(self.flat)

    def taken(self, slot: int) -> Tensors:
        """A copy of the parameters of one slot."""
        return {name: view.clone() for name, view in self.of(self.flat, slot).items()}


class SlotsAdamW(Generic[B]):
    """AdamW on slots: each has its own gradient norm, rate and count of steps.

    Args:
        slots: Their weights, updated in place.
        losses_of: The loss of each slot, (slots,), from the parameters and the batch of each slot, ``None`` where a
            slot has none. The loss of a slot depends on its own parameters and batch alone. Or parts of it, as in
            ``students.training.adamw``.
        recipe: Weight decay and clipping.
    """

    def __init__(
        self,
        slots: StateSlots,
        losses_of: Callable[[Tensors, Sequence[B | None]], torch.Tensor | Iterable[torch.Tensor]],
        recipe: Recipe,
    ) -> None:
        import torch

        self.slots, self._losses_of, self._recipe = slots, losses_of, recipe
        self._m, self._v = torch.zeros_like(slots.flat), torch.zeros_like(slots.flat)
        self._steps = [0] * slots.room

    def load(self, slot: int, moments: Mapping[str, torch.Tensor]) -> None:
        """Set AdamW's moments of a slot; none to start afresh."""
        self._steps[slot] = int(moments["step"]) if moments else 0
        for kind, flat in (("exp_avg", self._m), ("exp_avg_sq", self._v)):
            for name, view in self.slots.of(flat, slot).items():
                view.copy_(moments[f"{kind}.{name}"]) if moments else view.zero_()

    def moments(self, slot: int) -> Tensors:
        """A copy of ``step``, and of ``exp_avg`` and ``exp_avg_sq`` of each parameter; empty before the first step."""
        import torch

        if not self._steps[slot]:
            return {}
        held = {"exp_avg": self.slots.of(self._m, slot), "exp_avg_sq": self.slots.of(self._v, slot)}
        out = {f"{kind}.{name}": view.clone() for kind, views in held.items() for name, view in views.items()}
        return {"step": torch.tensor(float(self._steps[slot]))} | out

    def update(self, turns: Mapping[int, Step[B]]) -> dict[int, float]:
        """One step of each slot that has a turn, at once; their losses before it."""
        import torch

        batches = [turns[i][0] if i in turns else None for i in range(self.slots.room)]
        leaves = {name: view.detach().requires_grad_() for name, view in self.slots.parameters.items()}
        gradient, losses = torch.zeros_like(self.slots.flat), torch.zeros(self.slots.room, device=self.slots.device)
        found = self._losses_of(leaves, batches)
        for part in (found,) if isinstance(found, torch.Tensor) else found:
            gradients = torch.autograd.grad(part.sum(), list(leaves.values()), allow_unused=True)
            for view, of_part in zip(self.slots.views(gradient).values(), gradients, strict=True):
                if of_part is not None:
                    view += of_part
            losses += part.detach()
        for i in turns:
            self._steps[i] += 1
        self._step(gradient, [turns[i][1] if i in turns else 0.0 for i in range(self.slots.room)])
        before = losses.tolist()
        return {i: before[i] for i in turns}

    def _step(self, gradient: torch.Tensor, rates: Sequence[float]) -> None:
        """See arXiv 1711.05101, and ``training.adamw``. The moments of a slot whose rate is 0 are not used any more."""
        first, second = BETAS
        steps = [max(1, n) for n in self._steps]
        gradient *= (self._recipe.clip / (gradient.square().sum(1, keepdim=True).sqrt() + 1e-6)).clamp(max=1.0)
        self._m.lerp_(gradient, 1 - first)
        self._v.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        denominator = (self._v / self._column([1 - second**n for n in steps])).sqrt_().add_(EPSILON)
        change = self._m / denominator
        change *= self._column([rate / (1 - first**n) for rate, n in zip(rates, steps, strict=True)])
        self.slots.flat *= self._column([1 - rate * self._recipe.weight_decay for rate in rates])
        self.slots.flat -= change

    def _column(self, values: Sequence[float]) -> torch.Tensor:
        import torch

        return torch.tensor(values, device=self.slots.device)[:, None]


class SlotAdamW(Generic[B]):
    """One slot, as ``students.training.loop`` knows an optimiser.

    Args:
        many: Of all slots.
        slot: Which.
        moments: Of the state before; empty to start afresh.
    """

    def __init__(self, many: SlotsAdamW[B], slot: int, moments: Mapping[str, torch.Tensor]) -> None:
        self._many, self._slot = many, slot
        many.load(slot, moments)

    def update(self, batch: B, rate: float) -> float:
        """See ``AdamW``."""
        return self._many.update({self._slot: (batch, rate)})[self._slot]

    def parameters(self) -> Tensors:
        """See ``AdamW``."""
        return self._many.slots.taken(self._slot)

    def moments(self) -> Tensors:
        """See ``AdamW``."""
        return self._many.moments(self._slot)

    def is_finite(self) -> bool:
        """See ``AdamW``."""
        return bool(self._many.slots.flat[self._slot].isfinite().all())


def optimisation_of(
    many: SlotsAdamW[B], slot: int, recipe: Recipe, moments: Mapping[str, torch.Tensor]
) -> Optimisation[B]:
    """The training run of one slot; see ``run_at_once``.

    Args:
        many: The optimiser of all slots, which knows what a loss is.
        slot: Which.
        recipe: How.
        moments: AdamW's of the state before; empty to start afresh.
    """

    def of_slot(parameters: Any, loss_of: Any, recipe: Recipe, moments: Mapping[str, torch.Tensor]) -> SlotAdamW[B]:
        return SlotAdamW(many, slot, moments)

    unused: Any = None
    return Optimisation({}, unused, recipe, moments, of_slot)


Done = tuple[Any, Fitted] | TrainingDivergedError
"""Of a slot: the parameters that are examined, and what its run came to; or why it failed."""


def run_at_once(many: SlotsAdamW[B], runs: Sequence[Generator[Step[B], float, Fitted]]) -> list[Done]:
    """Make the updates of several runs (``Optimisation.steps``) at once. One that diverges leaves the others alone.

    Args:
        many: The slots; run ``i`` is that of slot ``i``.
        runs: One a slot.
    """
    done: dict[int, Done] = {}
    turns: dict[int, Step[B]] = {}

    def go_on(slot: int, loss: Any) -> None:
        turns.pop(slot, None)
        try:
            turns[slot] = runs[slot].send(loss)
        except StopIteration as end:
            done[slot] = many.slots.taken(slot), end.value
        except TrainingDivergedError as error:
            done[slot] = error

    for slot in range(len(runs)):
        go_on(slot, None)
    while turns:
        for slot, loss in many.update(turns).items():
            go_on(slot, loss)
    return [done[slot] for slot in range(len(runs))]
