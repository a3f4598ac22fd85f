"""One update of AdamW: PyTorch's own bit for bit with tensors, and to rounding with arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from students.base import Data, Recipe
from students.causal_lm.student import CausalLM
from students.training.adamw import BETAS, ArrayAdamW, TensorAdamW
from students.training.loop import unpack
from tasks.records import Example
from tests.tiny_lm import save_tiny

RECIPE = Recipe(weight_decay=0.1, clip=0.5)
SHAPES = {"a": (3, 4), "b": (5,)}
RATES = (1e-2, 1e-2, 5e-3, 0.0, 2e-2)


def drawn(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in SHAPES.items()}


def of_tensors(moments: Mapping[str, torch.Tensor], start: dict[str, Any]) -> TensorAdamW[int]:
    parameters = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in start.items()}

    def loss_of(batch: int) -> torch.Tensor:
        return torch.stack([(parameters[name] * torch.from_numpy(g)).sum() for name, g in drawn(batch).items()]).sum()

    return TensorAdamW(parameters, loss_of, RECIPE, moments)


def of_arrays(moments: Mapping[str, Any], start: dict[str, Any]) -> ArrayAdamW[int]:
    parameters = {name: value.copy() for name, value in start.items()}

    def loss_of(batch: int) -> tuple[float, dict[str, Any]]:
        return float(sum((parameters[name] * g).sum() for name, g in drawn(batch).items())), drawn(batch)

    return ArrayAdamW(parameters, loss_of, RECIPE, moments)


def test_tensors_are_updated_as_by_torch() -> None:
    mine = of_tensors({}, drawn(99))
    theirs = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in drawn(99).items()}
    adamw = torch.optim.AdamW(theirs.values(), betas=BETAS, weight_decay=RECIPE.weight_decay, fused=True)
    for i, rate in enumerate(RATES):
        mine.update(i, rate)
        adamw.param_groups[0]["lr"] = rate
        for name, gradient in drawn(i).items():
            theirs[name].grad = torch.from_numpy(gradient.copy())
        torch.nn.utils.clip_grad_norm_(theirs.values(), RECIPE.clip)
        adamw.step()
        for name, value in mine.parameters().items():
            torch.testing.assert_close(value, theirs[name].detach(), rtol=0, atol=0)
    for name, parameter in theirs.items():
        torch.testing.assert_close(mine.moments()[f"exp_avg.{name}"], adamw.state[parameter]["exp_avg"], rtol=0, atol=0)
        assert float(mine.moments()["step"]) == float(adamw.state[parameter]["step"]) == len(RATES)


def test_arrays_are_updated_as_tensors_are() -> None:
    tensors, arrays = of_tensors({}, drawn(99)), of_arrays({}, drawn(99))
    assert arrays.moments() == tensors.moments() == {}
    for i, rate in enumerate(RATES):
        assert arrays.update(i, rate) == pytest.approx(tensors.update(i, rate), rel=1e-5)
    for found, want in ((arrays.parameters(), tensors.parameters()), (arrays.moments(), tensors.moments())):
        assert found.keys() == want.keys()
        for name in want:
            np.testing.assert_allclose(found[name], want[name], rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("make", [of_tensors, of_arrays])
def test_it_goes_on_where_it_was(make: Any) -> None:
    whole = make({}, drawn(99))
    for i in range(4):
        whole.update(i, 1e-2)
    first = make({}, drawn(99))
    first.update(0, 1e-2)
    first.update(1, 1e-2)
    kept = first.moments()
    first.update(7, 1.0)  # what comes later changes neither copy
    second = make(kept, {name: np.asarray(value) for name, value in _after_two(make).items()})
    second.update(2, 1e-2)
    second.update(3, 1e-2)
    for name, value in whole.parameters().items():
        np.testing.assert_array_equal(second.parameters()[name], value)


def _after_two(make: Any) -> dict[str, Any]:
    run = make({}, drawn(99))
    run.update(0, 1e-2)
    run.update(1, 1e-2)
    return dict(run.parameters())


def test_a_parameter_that_a_batch_does_not_reach_is_left_alone() -> None:
    """As of a mixture of experts: it gets moments when its first gradient comes."""
    one, other = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    both = TensorAdamW(
        {"one": one, "other": other}, lambda all_of: ((one + other) if all_of else one).sum(), RECIPE, {}
    )
    both.update(False, 1e-2)
    assert (other == 1).all()
    assert "exp_avg.other" not in both.moments()
    both.update(True, 1e-2)
    assert (other < 1).all()


@pytest.mark.parametrize("make", [of_tensors, of_arrays])
def test_what_is_not_finite_is_seen(make: Any) -> None:
    assert make({}, drawn(0)).is_finite()
    assert not make({}, drawn(0) | {"b": np.full(5, np.inf, np.float32)}).is_finite()


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 100])
def test_a_batch_in_parts_is_the_batch(micro_batch: int, tmp_path: Path) -> None:
    """Rows of unequal length: the mean is over the tokens of the whole batch, and not over those of a part."""
    examples = tuple(
        Example(prompt=f"turn {word}>", response=word) for word in ("a", "bcdefbcdef", "cab", "d" * 20, "b")
    )
    student, data = CausalLM(path=str(save_tiny(tmp_path)), context=96, dtype="float32"), Data(examples)
    parts = CausalLM(path=str(tmp_path), context=96, dtype="float32", micro_batch=micro_batch)
    recipe = Recipe(updates=6, batch=5, rate=1e-2)
    (whole, told), (added, told_of_parts) = (s.fit(s.initial(0), data, recipe, 0) for s in (student, parts))
    assert told_of_parts.loss == pytest.approx(told.loss, rel=1e-4)
    assert told_of_parts.tokens == told.tokens
    for name, tensor in unpack(whole)[0].items():
        torch.testing.assert_close(unpack(added)[0][name], tensor, rtol=1e-2, atol=1e-4)
