"""k-means with seeded starts (Lloyd's iterations, k-means++), for discoverers that have a vector of each item."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STARTS = 10
ITERATIONS = 100


def kmeans(points: Floats, k: int, rng: np.random.Generator) -> list[int]:
    """The cluster of each point, the largest first; of several starts the one with the least squared distances.

    Args:
        points: ``(n, d)``.
        k: Clusters; fewer come out where fewer distinct points are there, or one is left empty.
        rng: Where the starts are drawn from.
    """
    best, least = np.zeros(len(points), np.int64), np.inf
    for _ in range(STARTS):
        labels, spread = _lloyd(points, _starts(points, k, rng))
        if spread < least - 1e-9:
            best, least = labels, spread
    _, inverse, sizes = np.unique(best, return_inverse=True, return_counts=True)
    rank = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
    return [int(i) for i in rank[inverse]]


def _starts(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    """k-means++ (Arthur and Vassilvitskii, 2007): each centre in proportion to the squared distance to those before."""
    centres = [points[rng.integers(len(points))]]
    near = ((points - centres[0]) ** 2).sum(1)
    while len(centres) < k and near.sum() > 0:
        centres.append(points[rng.choice(len(points), p=near / near.sum())])
        near = np.minimum(near, ((points - centres[-1]) ** 2).sum(1))
    return np.array(centres)


def _lloyd(points: Floats, centres: Floats) -> tuple[npt.NDArray[np.int64], float]:
    """Labels, and the sum of squared distances to the centres."""
    square, labels = (points**2).sum(1), np.full(len(points), -1, np.int64)
    for _ in range(ITERATIONS):
        far = square[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
        new = np.round(far, 9).argmin(1)
        if (new == labels).all():
            break
        labels = new
        centres = np.array([points[labels == j].mean(0) if (labels == j).any() else c for j, c in enumerate(centres)])
    return labels, float(np.maximum(far.min(1), 0).sum())


def named(labels: list[int]) -> tuple[str, ...]:
    """Names for clusters, which have none: numbers in the order of their sizes."""
    return tuple(f"cluster-{i + 1:02d}" for i in range(max(labels) + 1))
