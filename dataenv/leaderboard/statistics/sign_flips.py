"""Sign-flip test of several teachers at once: p-values that are corrected for their number and assume no normal law.

If a teacher is no better than the baseline and its differences are as likely to be +x as −x, the signs of the seeds
carry nothing. A flip turns all teachers' differences of a seed together, so what teachers of one board share stays
shared. Each teacher is held against the largest statistic of those that are left: step-down max-T (Westfall & Young,
1993; Romano & Wolf, 2005, doi:10.1198/016214504000000539).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product

import numpy as np

from dataenv.leaderboard.accuracy import Floats
from tasks.records import stream

EXACT = 12
"""Seeds up to which every flip is looked at; beyond, ``DRAWN`` of them."""
DRAWN = 4096
FOLDED = 1 / (1 - 2 / np.pi)
"""Variance of a normal deviate over that of its size."""
SAME = 1e-9
"""Statistics that are closer than this, relatively, are equal but for rounding."""


def sign_flips(differences: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Two-sided p-values of "no difference to the baseline", corrected for the number of teachers.

    The statistic is the mean over a scale, times √n. The scale is the larger of two: the root mean square of the
    teacher's own differences, and what the sizes of differences vary by on the whole board. Neither changes under a
    flip, so the test is exact where flips are. The second keeps a teacher that happened to collapse on no seed from
    looking steady.

    Args:
        differences: By teacher, then by seed: teacher − baseline.

    Returns:
        By teacher, in [2^(1−n), 1] for n seeds: six seeds give at best 1/32. A teacher without seeds has 1.
    """
    names = sorted(differences)
    seeds = sorted({seed for given in differences.values() for seed in given})
    if not names or not seeds:
        return dict.fromkeys(names, 1.0)
    given = np.array([[differences[name].get(seed, 0.0) for seed in seeds] for name in names])
    there = np.array([[seed in differences[name] for seed in seeds] for name in names])
    n = np.maximum(there.sum(axis=1), 1)
    scale = np.sqrt(np.maximum((given**2).sum(axis=1) / n, FOLDED * _spread(given, there)) * n)
    statistics = np.abs(given @ flips(len(seeds)).T) / np.where(scale > 0, scale, 1.0)[:, None]
    return _step_down(names, statistics)


@cache
def flips(n: int) -> Floats:
    """Signs, ``(flips, n)``, the observed ones first: all 2^(n−1) that differ by more than the sign of the whole.

    Beyond ``EXACT`` seeds a fixed sample of them, so that the same board gives the same p.
    """
    if n <= EXACT:
        return np.array([(1, *rest) for rest in product((1, -1), repeat=n - 1)], dtype=np.float64)
    drawn = stream(0, "sign flips", n).choice((-1.0, 1.0), (DRAWN, n))
    drawn[0] = 1
    return drawn


def _spread(given: Floats, there: np.ndarray) -> float:
    """Mean over teachers of the variance of the sizes of their differences; a large steady effect adds nothing."""
    sizes = [np.abs(row[mask]) for row, mask in zip(given, there, strict=True)]
    return float(np.mean([size.var(ddof=1) if len(size) > 1 else 0.0 for size in sizes]))


def _step_down(names: list[str], statistics: Floats) -> dict[str, float]:
    """From the largest observed statistic down: the share of flips whose largest remaining one is as large."""
    order = sorted(range(len(names)), key=lambda j: (-statistics[j, 0], names[j]))
    largest = np.maximum.accumulate(statistics[order[::-1]])[::-1]
    adjusted, floor = {}, 0.0
    for j, rest in zip(order, largest, strict=True):
        floor = max(floor, float((rest >= statistics[j, 0] * (1 - SAME)).mean()))
        adjusted[names[j]] = floor
    return adjusted
