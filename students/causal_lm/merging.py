"""An adapter merged into copies of the weights that it belongs to, for as long as a model answers.

A pass then has no products of the adapter's own. The weights themselves stay as they are, to the bit. Copies are made
at the first use, kept, and merged anew where the adapter is another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ADAPTER = "default"
"""The name that ``peft`` gives an adapter."""


class Merging:
    """Copies of weights, with the adapter in them.

    Args:
        layers: Layers of ``peft`` with an adapter on their weight. None is a model whose adapter is not merged.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = layers
        self._copies: list[torch.Tensor] = []
        self._holds: list[torch.Tensor] = []

    @contextmanager
    def merged(self) -> Iterator[None]:
        """Compute with the copies while this lasts. The adapter must not be trained meanwhile."""
        bases = [layer.get_base_layer().weight for layer in self.layers]
        weights = [base.data for base in bases]
        self._renew(weights)
        try:
            for layer, base, copy in zip(self.layers, bases, self._copies, strict=True):
                base.data = copy
                layer.merged_adapters.append(ADAPTER)
            yield
        finally:
            for layer, base, weight in zip(self.layers, bases, weights, strict=True):
                base.data = weight
                layer.merged_adapters.clear()

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Compute with the weights as they are, without the adapter, while this lasts."""
        try:
            for layer in self.layers:
                layer.merged_adapters.append(ADAPTER)
            yield
        finally:
            for layer in self.layers:
                layer.merged_adapters.clear()

    def _renew(self, weights: Sequence[torch.Tensor]) -> None:
        """Merge anew, unless the copies hold this very adapter."""
        import torch

        adapter = [p for layer in self.layers for p in layer.parameters() if p.requires_grad]
        if self._holds and all(map(torch.equal, self._holds, adapter)):
            return
        self._holds = []  # the copies hold no adapter wholly until all are written
        self._copies = self._copies or [torch.empty_like(weight) for weight in weights]
        with torch.no_grad():
            for layer, weight, copy in zip(self.layers, weights, self._copies, strict=True):
                torch.add(weight, layer.get_delta_weight(ADAPTER), out=copy)
            self._holds = [p.clone() for p in adapter]
