"""Rows of tokens that go through a pre-trained model: as they stand in a batch, and what is measured of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from students.training.loop import IGNORE
from tasks.records import digest

if TYPE_CHECKING:
    import torch

    Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

Row = tuple[tuple[int, ...], tuple[int, ...]]
"""Tokens of a prompt, and of its response with the token that ends it."""
PAD = -1
"""Fills rows up in ``Encoded``; no token, and taken off again before the model."""


def draws_of(seed: int, prompts: Sequence[str]) -> list[torch.Generator]:
    """A generator for each prompt, by its text and how often it came before: whatever else is asked has no part."""
    import torch

    before: Counter[str] = Counter()
    out = []
    for prompt in prompts:
        named = digest([seed, prompt, before[prompt]])
        before[prompt] += 1
        out.append(torch.Generator().manual_seed(int(named[:15], 16)))
    return out


def apart(generator: torch.Generator, n: int) -> list[torch.Generator]:
    """Some generators out of one."""
    import torch

    seeds = torch.randint(2**62, (n,), generator=generator).tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def row_of(ids: Any, targets: Any) -> Row:
    """A row of a batch, (longest,) each, as what it was made of."""
    whole, answer = ids[ids != PAD].tolist(), targets[targets != IGNORE].tolist()
    return tuple(whole[: len(whole) - len(answer)]), tuple(answer)


def nats(logits: torch.Tensor, due: torch.Tensor) -> torch.Tensor:
    """Nats of each token that was due, (tokens,)."""
    import torch.nn.functional as F

    return F.cross_entropy(logits, due, reduction="none")


def entropy(logits: torch.Tensor, due: torch.Tensor) -> torch.Tensor:
    """Nats of each distribution, (tokens,); what was due plays no part."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)
