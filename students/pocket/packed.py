"""Rows of tokens of any length, packed one behind the other: no padding is computed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Packed(NamedTuple):
    """Rows of tokens one behind the other.

    Attributes:
        tokens: ``(n,)``, of all rows.
        positions: ``(n,)``, of each token in its row.
        slots: ``(n,)``, places of the tokens in a grid of rows.
        grid: Rows and columns of that grid.
        asked: ``(m,)``, places among the ``n`` where the next token is predicted.
        asked_slots: ``(m,)``, places of these in a grid of their own.
        asked_grid: Rows and columns of that.
    """

    tokens: Ints
    positions: Ints
    slots: Ints
    grid: tuple[int, int]
    asked: Ints
    asked_slots: Ints
    asked_grid: tuple[int, int]


def packed(ids: Ints, asked: npt.NDArray[np.bool_]) -> Packed:
    """Rows as the model takes them; what stands behind the last place that is asked has no effect, and is left out.

    Args:
        ids: ``(rows, columns)``.
        asked: Where the next token is predicted, of the same shape.
    """
    rows, columns = asked.shape
    ends = np.where(asked.any(1), columns - asked[:, ::-1].argmax(1), 0)
    slots = np.flatnonzero(np.arange(columns) < ends[:, None])
    width = int(ends.max(initial=0))
    row, position = np.divmod(slots, columns)
    which = np.flatnonzero(asked.ravel()[slots])
    most = int(asked.sum(1).max(initial=0))
    nth = (asked.cumsum(1) - 1).ravel()[slots[which]]
    return Packed(
        tokens=ids.ravel()[slots],
        positions=position,
        slots=row * width + position,
        grid=(rows, width),
        asked=which,
        asked_slots=row[which] * most + nth,
        asked_grid=(rows, most),
    )
