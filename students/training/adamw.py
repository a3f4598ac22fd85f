"""AdamW (arXiv 1711.05101) with gradients clipped by their global norm: for PyTorch's tensors, and for NumPy's arrays.

Each class makes one update of one model. How large the rate is, and when it ends, is for ``students.training.loop``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from students.base import Recipe

if TYPE_CHECKING:
    import torch

BETAS = (0.9, 0.95)
EPSILON = 1e-8
Array = npt.NDArray[Any]
B = TypeVar("B")
B_in = TypeVar("B_in", contravariant=True)


class AdamW(Protocol[B_in]):
    """Parameters that are trained, and the moments of their gradients."""

    def update(self, batch: B_in, rate: float) -> float:
        """Take one step; the loss before it."""

    def parameters(self) -> dict[str, Any]:
        """A copy of them as they are now."""

    def moments(self) -> dict[str, Any]:
        """A copy of ``step``, and of ``exp_avg`` and ``exp_avg_sq`` of each parameter; empty before the first step."""

    def is_finite(self) -> bool:
        """Whether all parameters are."""


class TensorAdamW(Generic[B]):
    """For tensors that have gradients.

    Args:
        parameters: The trainable parameters by name; updated in place.
        loss_of: The loss of a batch, with a gradient; or parts of it, each of which is asked for when the gradient of
            the one before is there, so that the memory of one part is enough.
        recipe: Weight decay and clipping.
        moments: Of the state before; empty to start afresh.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        loss_of: Callable[[B], torch.Tensor | Iterable[torch.Tensor]],
        recipe: Recipe,
        moments: Mapping[str, torch.Tensor],
    ) -> None:
        self._parameters, self._loss_of, self._recipe = parameters, loss_of, recipe
        self._moments = {name: moment.clone() for name, moment in moments.items()}

    def update(self, batch: B, rate: float) -> float:
        """See ``AdamW``."""
        import torch

        loss = self._loss_of(batch)
        value = 0.0
        for part in (loss,) if isinstance(loss, torch.Tensor) else loss:
            part.backward()
            value += float(part.item())
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._recipe.clip)
        with torch.no_grad():
            self._step(rate)
        for parameter in self._parameters.values():
            parameter.grad = None
        return value

    def parameters(self) -> dict[str, torch.Tensor]:
        """See ``AdamW``."""
        return {name: p.detach().clone() for name, p in self._parameters.items()}

    def moments(self) -> dict[str, torch.Tensor]:
        """See ``AdamW``."""
        return {name: moment.clone() for name, moment in self._moments.items()}

    def is_finite(self) -> bool:
        """See ``AdamW``."""
        return all(bool(p.isfinite().all()) for p in self._parameters.values())

    def _step(self, rate: float) -> None:
        """What ``torch.optim.AdamW(fused=True)`` calls; the class itself would import 1.8 seconds of torch._dynamo."""
        import torch

        moved, gradients = {}, []
        for name, parameter in self._parameters.items():
            if parameter.grad is None:  # not reached by this batch
                continue
            moved[name] = parameter
            gradients.append(parameter.grad)
            for moment in ("exp_avg", "exp_avg_sq"):
                if f"{moment}.{name}" not in self._moments:
                    self._moments[f"{moment}.{name}"] = torch.zeros_like(parameter)
        device = gradients[0].device
        self._moments["step"] = self._moments.get("step", torch.zeros((), device=device)) + 1
        torch._fused_adamw_(
            list(moved.values()),
            gradients,
            [self._moments[f"exp_avg.{name}"] for name in moved],
            [self._moments[f"exp_avg_sq.{name}"] for name in moved],
            [],
            [self._moments["step"]] * len(moved),
            lr=rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=self._recipe.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )


class ArrayAdamW(Generic[B]):
    """For arrays, whose gradients are computed by hand.

    Args:
        parameters: By name; updated in place.
        loss_of: The loss of a batch, and the gradient of each parameter.
        recipe: Weight decay and clipping.
        moments: Of the state before; empty to start afresh.
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        loss_of: Callable[[B], tuple[float, Mapping[str, Array]]],
        recipe: Recipe,
        moments: Mapping[str, Array],
    ) -> None:
        self._parameters, self._loss_of, self._recipe = parameters, loss_of, recipe
        self._steps = int(moments["step"]) if moments else 0
        self._m, self._v = (
            np.concatenate(
                [moments.get(f"{moment}.{name}", np.zeros_like(p)).ravel() for name, p in parameters.items()]
            )
            for moment in ("exp_avg", "exp_avg_sq")
        )

    def update(self, batch: B, rate: float) -> float:
        """See ``AdamW``."""
        with np.errstate(all="ignore"):  # what is not finite is found by its value
            loss, gradients = self._loss_of(batch)
            self._step(np.concatenate([gradients[name].ravel() for name in self._parameters]), rate)
        return loss

    def parameters(self) -> dict[str, Array]:
        """See ``AdamW``."""
        return {name: p.copy() for name, p in self._parameters.items()}

    def moments(self) -> dict[str, Array]:
        """See ``AdamW``."""
        if not self._steps:
            return {}
        held = {"exp_avg": self._split(self._m), "exp_avg_sq": self._split(self._v)}
        out = {f"{moment}.{name}": part.copy() for moment, parts in held.items() for name, part in parts.items()}
        return {"step": np.array(self._steps, np.float32)} | out

    def is_finite(self) -> bool:
        """See ``AdamW``."""
        return all(bool(np.isfinite(p).all()) for p in self._parameters.values())

    def _step(self, gradient: Array, rate: float) -> None:
        norm = math.sqrt(float(gradient @ gradient))
        gradient *= min(1.0, self._recipe.clip / (norm + 1e-6))
        self._steps += 1
        first, second = BETAS
        self._m += (1 - first) * (gradient - self._m)
        gradient *= gradient
        self._v += (1 - second) * (gradient - self._v)
        denominator = np.sqrt(self._v / (1 - second**self._steps))
        denominator += EPSILON
        change = self._m / denominator
        change *= rate / (1 - first**self._steps)
        for name, part in self._split(change).items():
            self._parameters[name][...] *= 1 - rate * self._recipe.weight_decay
            self._parameters[name][...] -= part

    def _split(self, flat: Array) -> dict[str, Array]:
        """A flat array as the parameters' shapes; views."""
        ends = np.cumsum([p.size for p in self._parameters.values()])[:-1]
        parts = zip(self._parameters.items(), np.split(flat, ends), strict=True)
        return {name: part.reshape(p.shape) for (name, p), part in parts}
