"""Which pictures of a set of real ones are sealed, and which are the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.images.packaged import Labels, Pictures
from tasks.records import stream

Part = str
SEALED: Mapping[Part, float] = {"feedback": 0.05, "selection": 0.1, "test": 0.35}
"""Shares of each class; the rest is the pool."""


@dataclass(frozen=True)
class Sorted:
    """Rows of a set of pictures by part.

    Attributes:
        pictures: All of them, ``(n, height, width)`` or ``(n, height, width, 3)``.
        labels: ``(n,)``.
        rows: Of each part: in it, the classes follow each other, and each class is in random order.
    """

    pictures: Pictures
    labels: Labels
    rows: Mapping[Part, npt.NDArray[np.int64]]


def sort_out(pictures: Pictures, labels: Labels, seed: int = 0) -> Sorted:
    """Share the pictures of each class out. Equal pictures count once, so none is in two parts.

    Args:
        pictures: All of them, ``(n, height, width)`` or ``(n, height, width, 3)``.
        labels: ``(n,)``, from 0.
        seed: Of the order.

    Raises:
        ValueError: If a class has too few pictures for every part to hold one.
    """
    _, first = np.unique(pictures.reshape(len(pictures), -1), axis=0, return_index=True)
    parts: dict[Part, list[npt.NDArray[np.int64]]] = {part: [] for part in (*SEALED, "pool")}
    for label in range(int(labels.max()) + 1):
        rows = np.sort(first[labels[first] == label])
        rows = rows[stream(seed, "sort", label).permutation(len(rows))]
        ends = np.floor(np.cumsum(list(SEALED.values())) * len(rows) + 1e-9).astype(int)
        for part, some in zip(parts, np.split(rows, ends), strict=True):
            if not len(some):
                raise ValueError(
                    f"class {label} has {len(rows)} different pictures, too few for feedback, selection, test and "
                    "pool; give at least 20 of each class"
                )
            parts[part].append(some)
    return Sorted(pictures, labels, {part: np.concatenate(found) for part, found in parts.items()})


def long_tail(labels: Labels, rows: npt.NDArray[np.int64], ratio: float) -> npt.NDArray[np.int64]:
    """Rows of an imbalanced pool: class by class fewer, the last has one for ``ratio`` of the first; at least one.

    The shares fall geometrically (Cui et al., arXiv 1901.05555).

    Args:
        labels: Of all pictures.
        rows: Of the pool, the classes one after another.
        ratio: At least 1; 1 leaves the pool as it is.
    """
    classes = np.unique(labels[rows])
    kept = []
    for i, label in enumerate(classes):
        some = rows[labels[rows] == label]
        share = ratio ** (-i / max(1, len(classes) - 1))
        kept.append(some[: max(1, round(share * len(some)))])
    return np.concatenate(kept)
