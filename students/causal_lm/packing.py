"""Rows through a causal language model as one sequence: a tree, in which equal beginnings are computed once.

Sorted rows form a tree of tokens, and a token sees those on its way from the root alone (SpecInfer, arXiv 2305.09781,
section 4.2, calls this tree attention). Nothing is padded, one pass through the weights serves all rows, and the head
works on the tokens that are looked at. Results and gradients are those of rows alone, to rounding.

Positions count from the beginning of a row, and the mask hides what belongs to other rows. Some models look at places
in the sequence all the same, so no pack is longer than a row that the model was made for (``Network.pack_most``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch

Ids = tuple[int, ...]
PACK = 512
"""Tokens of a sequence. Attention costs the square of it; below some hundred rows, a product of matrices is slower."""
SHARE = 4
"""A sequence is at least so many times as long as what all rows share, which each sequence computes anew."""


class Pack(NamedTuple):
    """Rows as a model takes them.

    Attributes:
        rows: Places of the rows that are in it, in ascending order of their tokens.
        ids: (t,) tokens of the tree, parents before children.
        positions: (t,) of each from the beginning of its row.
        sees: (t, t), whether the token of a line sees that of a column.
        looked: Where the tokens stand that are looked at, row after row.
    """

    rows: list[int]
    ids: np.ndarray[Any, np.dtype[np.int64]]
    positions: np.ndarray[Any, np.dtype[np.int64]]
    sees: np.ndarray[Any, np.dtype[np.bool_]]
    looked: np.ndarray[Any, np.dtype[np.int64]]


def packs(rows: Sequence[Ids], kept: Sequence[int], most: int) -> Iterator[Pack]:
    """Pack rows.

    Args:
        rows: Tokens, at least one a row.
        kept: For each row, how many of its last tokens are looked at.
        most: Tokens of the longest pack; a longer row is a pack of its own.
    """
    order = sorted(range(len(rows)), key=rows.__getitem__)
    most = min(most, max(PACK, SHARE * _common(rows[order[0]], rows[order[-1]])))
    group, size = [order[0]], len(rows[order[0]])
    for before, i in pairwise(order):
        new = len(rows[i]) - _common(rows[before], rows[i])
        if size + new > most:
            yield _tree(rows, kept, group)
            group, size, new = [], 0, len(rows[i])
        group.append(i)
        size += new
    yield _tree(rows, kept, group)


def _common(one: Ids, other: Ids) -> int:
    """Tokens of the common beginning."""
    least = min(len(one), len(other))
    return next((i for i in range(least) if one[i] != other[i]), least)


def _tree(rows: Sequence[Ids], kept: Sequence[int], group: list[int]) -> Pack:
    """Rows in ascending order as a tree: of each, what it shares with the one before is there already."""
    ids: list[int] = []
    paths: list[list[int]] = []  # for each row, where its tokens stand
    for k, i in enumerate(group):
        p = _common(rows[group[k - 1]], rows[i]) if k else 0
        path = paths[-1][:p] if k else []
        paths.append([*path, *range(len(ids), len(ids) + len(rows[i]) - p)])
        ids += rows[i][p:]
    positions, sees = np.zeros(len(ids), np.int64), np.zeros((len(ids), len(ids)), np.bool_)
    for path in paths:
        positions[path] = np.arange(len(path))
        sees[np.ix_(path, path)] |= np.tri(len(path), dtype=np.bool_)
    looked = [place for path, i in zip(paths, group, strict=True) for place in path[len(path) - kept[i] :]]
    return Pack(group, np.array(ids), positions, sees, np.array(looked, np.int64))


def forward(
    model: Any, rows: Sequence[Ids], kept: Sequence[int], most: int, dtype: torch.dtype, device: str
) -> torch.Tensor:
    """Logits of the tokens that are looked at, row after row: (sum of ``kept``, vocabulary).

    Args:
        model: A causal language model that takes a mask of four dimensions and places of logits to keep.
        rows: Tokens, at least one a row.
        kept: For each row, how many of its last tokens are looked at.
        most: Tokens of the longest pack.
        dtype: Of the arithmetic, and so of the mask, which is added to the scores of attention.
        device: Where the model is.
    """
    import torch

    parts, places = [], []
    starts = np.cumsum([0, *kept])
    for pack in packs(rows, kept, most):
        mask = torch.from_numpy(pack.sees).to(device)
        hidden = torch.zeros(mask.shape, dtype=dtype, device=device).masked_fill(~mask, torch.finfo(dtype).min)
        ids, positions, looked = (torch.from_numpy(x).to(device) for x in (pack.ids, pack.positions, pack.looked))
        out = model(
            input_ids=ids[None],
            attention_mask=hidden[None, None],
            position_ids=positions[None],
            use_cache=False,
            logits_to_keep=looked,
        )
        parts.append(out.logits[0])
        places += [place for i in pack.rows for place in range(starts[i], starts[i + 1])]
    logits = torch.cat(parts)
    if len(logits) != len(places):
        raise ValueError(f"the model gives {len(logits)} rows of logits where {len(places)} were to be kept")
    return logits[torch.from_numpy(np.argsort(places)).to(device)]
