"""Several adapters over one frozen model: each slot's rows go through the adapter of that slot.

The rows of all slots are one batch, slot after slot. While ``SlotAdapters`` is active, a linear layer multiplies the
rows of each slot by themselves, so that products have one shape whatever else is computed (``training.slots``). It adds
the product of that slot's adapter. The model's own adapter is left out meanwhile (``students.causal_lm.merging``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from tasks.errors import UnsupportedError

Pairs = Mapping[int, tuple[str, str]]
"""The names of A and B that belong to a weight, by its ``id``."""


class SlotAdapters(TorchFunctionMode):
    """Gives linear layers the adapters of all slots.

    Args:
        pairs: Which adapter belongs to which weight.
        parameters: By name: A (slots, rank, inputs) and B (slots, outputs, rank).
        scale: What their product is multiplied by.
        rows: Of the whole batch, the same number for each slot.
    """

    def __init__(self, pairs: Pairs, parameters: Mapping[str, torch.Tensor], scale: float, rows: int) -> None:
        super().__init__()
        self._pairs, self._parameters, self._scale, self._rows = pairs, parameters, scale, rows
        self._slots = len(next(iter(parameters.values())))

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See ``TorchFunctionMode``."""
        if func is F.linear:
            return self._linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _linear(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        if len(x) != self._rows or x.dim() != 3:
            raise UnsupportedError(
                f"student_args.slots is above 1, and the model multiplies {tuple(x.shape)} in a linear layer where "
                f"{self._rows} rows of tokens were expected; give slots=1"
            )
        own = x.reshape(self._slots, -1, x.shape[2])
        out = own @ weight.t().expand(self._slots, -1, -1)
        if bias is not None:
            out = out + bias
        if id(weight) in self._pairs:
            a, b = (self._parameters[name] for name in self._pairs[id(weight)])
            out = out + self._scale * (own.to(a.dtype) @ a.mT @ b.mT)
        return out.view(*x.shape[:2], -1)
