"""Rows of unequal length through a causal language model: what they share at the front is computed once.

The rows of a batch begin alike: a chat template puts the same words before every prompt. So a batch goes in as one
shared *prefix* and what is left of each row, which is aligned at the right end (the model's own mask and positions see
to it that nothing else changes). Where losses count, they stand at the right end as well, and so the head, with its
tens of thousands of words, works on a few columns alone.

What fills a row up stands between the prefix and the row. A sliding window counts places, so it would push the prefix
out of sight. Where a row is longer than the model's *reach*, rows therefore go in whole, and are filled up in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

Ids = tuple[int, ...]
WORTH = 64
"""Tokens that a shared prefix must save to be computed apart; a second pass through the weights is not free."""


class Rows(NamedTuple):
    """A batch as the model takes it: ``prefix`` (1, p); ``ids`` and ``positions`` (rows, w); ``mask`` (rows, p + w)."""

    prefix: torch.Tensor
    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor


def lay(
    rows: Sequence[Ids],
    kept: Sequence[int],
    device: str,
    reach: int | None = None,
    room: int = 0,
    worth: int | None = None,
    width: int | None = None,
) -> Rows:
    """Lay rows out.

    Args:
        rows: Tokens, at least one a row.
        kept: For each row, how many of its last tokens are looked at and so stand behind the prefix.
        device: Where to.
        reach: The longest row, with its room, that may have a prefix; ``None`` for any.
        room: Tokens that will be written behind each row.
        worth: Tokens that a prefix must save; else ``WORTH``.
        width: Tokens of the laid rows, at least those of the longest, which it is by default.
    """
    import torch

    longest = max(map(len, rows)) if width is None else width
    p = _shared(rows, kept, WORTH if worth is None else worth) if reach is None or longest + room <= reach else 0
    longest -= p
    pads = [longest - (len(row) - p) for row in rows]
    ids = [[0] * pad + list(row[p:]) for row, pad in zip(rows, pads, strict=True)]
    mask = [[1] * p + [0] * pad + [1] * (longest - pad) for pad in pads]
    positions = [[0] * pad + list(range(p, p + longest - pad)) for pad in pads]
    prefix = torch.tensor([list(rows[0][:p])], dtype=torch.long, device=device)
    return Rows(prefix, *(torch.tensor(part, device=device) for part in (ids, mask, positions)))


def _shared(rows: Sequence[Ids], kept: Sequence[int], worth: int) -> int:
    """Length of the common beginning that is worth a pass of its own."""
    first, last = min(rows), max(rows)  # what these two share, all share
    most = min(len(row) - k for row, k in zip(rows, kept, strict=True))
    p = next((i for i in range(most) if first[i] != last[i]), most)
    return p if p * (len(rows) - 1) >= worth else 0


def forward(model: Any, rows: Rows, keep: int) -> tuple[torch.Tensor, Any]:
    """Logits of the last ``keep`` columns, (rows, keep, vocabulary), and the key-value cache of all."""
    cache = None
    if rows.prefix.shape[1]:
        cache = model(input_ids=rows.prefix, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(rows.ids))
    out = step(model, rows.ids, rows.mask, rows.positions, cache, keep)
    return out.logits, out.past_key_values


def looked_at(logits: torch.Tensor, kept: Sequence[int]) -> torch.Tensor:
    """Of logits that ``forward`` gives, those of the last columns of each row, row after row: (tokens, vocabulary)."""
    import torch

    keep = logits.shape[1]
    return logits[torch.arange(keep, device=logits.device) >= keep - torch.tensor(kept, device=logits.device)[:, None]]


def step(model: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any, keep: int) -> Any:
    """A pass of ``ids`` (rows, w) behind a cache (``None`` for nothing), with logits of the last ``keep`` columns."""
    return model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=keep,
    )


def generate(
    model: Any,
    rows: Rows,
    rooms: Sequence[int],
    stops: frozenset[int],
    temperature: float,
    draws: Sequence[torch.Generator],
    whole: bool = False,
    stay: bool = False,
) -> list[list[int]]:
    """What the model writes behind each row.

    Rows that have ended leave the batch once they are half of it, unless they ``stay``.

    Args:
        model: A causal language model with a key-value cache.
        rows: Prompts.
        rooms: The most new tokens of each row, at least 1.
        stops: Tokens that end an answer.
        temperature: 0 is greedy.
        draws: Where the tokens of each row are drawn from, on the CPU: one a row, so that no answer depends on its
            neighbours. Not asked at temperature 0.
        whole: Whether with the token that ends it.
        stay: Whether all rows are computed until all have ended.
    """
    import torch

    answers: list[list[int]] = [[] for _ in rooms]
    live, ended = list(range(len(rooms))), [False] * len(rooms)
    with torch.no_grad():
        logits, cache = forward(model, rows, 1)
        mask, positions = rows.mask, rows.positions[:, -1:]
        while True:
            tokens = _choose(logits[:, -1].float(), temperature, [draws[i] for i in live] if temperature else ())
            for i, token in zip(live, tokens.tolist(), strict=True):
                if not ended[i]:
                    answers[i] += [token] if whole or token not in stops else []
                    ended[i] = token in stops or len(answers[i]) == rooms[i]
            rest = [row for row, i in enumerate(live) if not ended[i]]
            if not rest:
                return answers
            if 2 * len(rest) <= len(live) and not stay:
                picked = torch.tensor(rest, device=mask.device)
                cache.reorder_cache(picked)  # also where a cache holds more than keys and values
                tokens, mask, positions = tokens[picked], mask[picked], positions[picked]
                live = [live[row] for row in rest]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
            positions = positions + 1
            logits = step(model, tokens[:, None], mask, positions, cache, 1).logits


def _choose(logits: torch.Tensor, temperature: float, draws: Sequence[torch.Generator]) -> torch.Tensor:
    """One token a row of ``logits`` (rows, vocabulary)."""
    import torch

    if temperature == 0:
        return logits.argmax(-1)
    likely = torch.softmax(logits / temperature, -1).cpu()
    drawn = [torch.multinomial(row, 1, generator=own) for row, own in zip(likely, draws, strict=True)]
    return torch.cat(drawn).to(logits.device)


def turns(rows: Sequence[Sequence[int]], rooms: Sequence[int], room: int, most: int) -> Iterator[list[int]]:
    """Places of rows in batches of similar length, the shortest first; rows without room are left out.

    Args:
        rows: Tokens.
        rooms: New tokens of each row at the most.
        room: Tokens that are kept free behind each.
        most: Tokens of a batch with padding and room.
    """
    order = [i for i, row in enumerate(rows) if row and rooms[i] > 0]
    order.sort(key=lambda i: (len(rows[i]), rows[i]))
    for chunk in chunks([len(rows[i]) + room for i in order], most):
        yield [order[k] for k in chunk]


def chunks(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of rows in batches of similar length, at most ``most`` tokens each with padding, the shortest first.

    Args:
        lengths: In an order of rows that does not depend on how they were given, rising.
        most: Tokens; a longer row is a batch of its own.
    """
    chunk: list[int] = []
    for i, length in enumerate(lengths):
        if chunk and (len(chunk) + 1) * length > most:
            yield chunk
            chunk = []
        chunk.append(i)
    if chunk:
        yield chunk
