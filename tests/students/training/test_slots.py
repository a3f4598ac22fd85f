"""States side by side: AdamW on slots is AdamW, and no slot hears of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from students.base import Recipe, TrainingDivergedError
from students.training.adamw import TensorAdamW
from students.training.loop import Batch, Optimisation
from students.training.slots import SlotsAdamW, StateSlots, optimisation_of, run_at_once, whole

RECIPE = Recipe(updates=6, batch=2, rate=0.05, warmup=2, weight_decay=0.1, clip=0.5)


def state(seed: int) -> dict[str, Any]:
    import torch

    draws = torch.Generator().manual_seed(seed)
    return {"b": torch.randn(5, generator=draws), "a": torch.randn(3, 5, generator=draws)}


def turns(seed: int) -> Any:
    """Batches without end; a batch is two rows of inputs."""
    import numpy as np

    draws = np.random.default_rng(seed)
    while True:
        yield Batch(draws.integers(-3, 4, (2, 3)), np.zeros((2, 3), np.int64), 6)


def losses_of(parameters: Mapping[str, Any], some: Sequence[Batch | None]) -> Any:
    """A small regression in each slot."""
    import numpy as np
    import torch

    rows = torch.from_numpy(np.stack([np.zeros((2, 3)) if b is None else b.ids for b in some])).float()
    return ((rows @ parameters["a"] + parameters["b"][:, None] - 1) ** 2).flatten(1).mean(1)


def many_of(states: Sequence[dict[str, Any]], slots: int = 8) -> SlotsAdamW[Batch]:
    return SlotsAdamW(StateSlots(states, slots, "cpu"), losses_of, RECIPE)


def trained(states: Sequence[dict[str, Any]], seeds: Sequence[int], moments: Sequence[Any] | None = None) -> list[Any]:
    many = many_of(states)
    held = moments or [{}] * len(states)
    runs = [optimisation_of(many, i, RECIPE, held[i]) for i in range(len(states))]
    return run_at_once(many, [run.steps(turns(seed)) for run, seed in zip(runs, seeds, strict=True)])


def test_it_is_adamw() -> None:
    """Beside PyTorch's own kernel: warm-up, decay, clipping, and moments that are carried on."""
    import torch

    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in state(1).items()}

    def alone(batch: Batch) -> Any:
        return losses_of({name: p[None] for name, p in parameters.items()}, [batch])[0]

    expected = Optimisation(parameters, alone, RECIPE, {}, TensorAdamW).run(turns(7))
    (found, fitted), _ = trained([state(1), state(2)], [7, 8])
    assert fitted.report.loss == pytest.approx(expected.report.loss, rel=1e-5)
    for name, value in parameters.items():
        assert torch.allclose(found[name], value, atol=1e-6)
        assert not torch.allclose(found[name], state(1)[name], atol=1e-2)
    assert fitted.moments.keys() == expected.moments.keys()
    assert all(torch.allclose(fitted.moments[name], value, atol=1e-6) for name, value in expected.moments.items())


@pytest.mark.parametrize("k", [2, 4, 8])
def test_a_slot_alone_and_among_others_has_equal_bits(k: int) -> None:
    alone = [trained([state(i)], [i])[0] for i in range(k)]
    among = trained([state(i) for i in range(k)], range(k))
    turned = trained([state(i) for i in reversed(range(k))], [*reversed(range(k))])[::-1]
    for one, two, three in zip(alone, among, turned, strict=True):
        for name in one[0]:
            assert one[0][name].equal(two[0][name])
            assert one[0][name].equal(three[0][name])
        assert one[1].report == two[1].report == three[1].report
        assert all(one[1].moments[name].equal(two[1].moments[name]) for name in one[1].moments)


def test_slots_may_have_made_different_numbers_of_updates() -> None:
    """One goes on from its moments, its neighbour begins."""
    first = trained([state(1)], [1])[0]
    alone = trained([first[0]], [5], [first[1].moments])[0]
    _, among = trained([state(2), first[0]], [2, 5], [{}, first[1].moments])
    assert float(among[1].moments["step"]) == 2 * RECIPE.updates
    assert all(alone[0][name].equal(among[0][name]) for name in alone[0])


def test_what_is_not_finite_fails_alone() -> None:
    import torch

    broken = {name: torch.full_like(value, torch.nan) for name, value in state(3).items()}
    alone = trained([state(1)], [1])[0]
    found = trained([broken, state(1), state(2)], [0, 1, 2])
    assert isinstance(found[0], TrainingDivergedError)
    assert not isinstance(found[2], TrainingDivergedError)
    assert all(alone[0][name].equal(found[1][0][name]) for name in alone[0])


def test_slots_begin_where_arrays_begin() -> None:
    """Kernels may add in another order where an array is not aligned."""
    slots = StateSlots([state(i) for i in range(3)], 4, "cpu")
    for view in slots.parameters.values():
        assert all(view[i].data_ptr() % 64 == 0 for i in range(3))
    assert [whole(n) for n in (0, 1, 16, 17)] == [16, 16, 16, 32]
    with pytest.raises(ValueError, match="3 states are given to 2 slots"):
        StateSlots([state(i) for i in range(3)], 2, "cpu")
