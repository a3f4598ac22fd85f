"""What a student made of tensors shows to the methods that are more than next-token loss: how it writes and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from students.training.loop import Batch
from tasks.records import Example

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]
    Scores = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Policy:
    """A model that is being trained.

    Attributes:
        parameters: The trainable ones by name.
        prompt: The tokens of an example's prompt.
        response: The tokens of a response, and the one that ends it.
        write: Prompts as tokens, the most new tokens, a temperature and a generator to what it writes behind each, with
            the token that ends it, if one did.
        read: What was written, as text.
        score: A batch and a temperature to the log-probability of each target, (rows, columns) with a gradient, and
            which columns are targets.
        pad: What fills rows up.
    """

    parameters: Mapping[str, torch.nn.Parameter]
    prompt: Callable[[Example], Sequence[int]]
    response: Callable[[str], Sequence[int]]
    write: Callable[[Sequence[Sequence[int]], int, float, torch.Generator], list[list[int]]]
    read: Callable[[Sequence[int]], str]
    score: Callable[[Batch, float], Scores]
    pad: int


class Frozen:
    """A policy as it is now, kept while it is trained on: the reference of a divergence or of a preference."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._then: Tensors = {name: p.detach().clone() for name, p in policy.parameters.items()}

    def score(self, batch: Batch, temperature: float = 1.0) -> torch.Tensor:
        """Log-probabilities as ``Policy.score`` gives them, (rows, columns), without a gradient."""
        import torch

        with torch.no_grad(), self._swapped():
            return self._policy.score(batch, temperature)[0]

    @contextmanager
    def _swapped(self) -> Iterator[None]:
        parameters = self._policy.parameters
        now = {name: p.detach().clone() for name, p in parameters.items()}
        try:
            _copy(self._then, parameters)
            yield
        finally:
            _copy(now, parameters)


def _copy(values: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.nn.Parameter]) -> None:
    for name, parameter in parameters.items():
        parameter.data.copy_(values[name])
