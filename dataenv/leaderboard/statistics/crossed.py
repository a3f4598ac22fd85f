"""Seeds and items crossed: an interval for new seeds *and* new problems of the same skills.

A paired t over seeds speaks of new seeds on these items. Where students of all seeds start alike, seeds vary little,
and what decides is which problems the test split happened to draw. Both are a sample, crossed: every seed answers every
item. The variance of the mean is then the sum of what seeds, items and their interplay add (Owen, 2007,
doi:10.1214/07-AOAS122; Miller et al., 2018), each estimated by its mean square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dataenv.leaderboard.accuracy import Floats


class Crossed(NamedTuple):
    """A gain over new seeds and new items; see ``crossed``.

    Attributes:
        error: Standard error of the gain.
        degrees: Degrees of freedom by Satterthwaite.
        low: Lower end of the 95 % interval (``high`` the upper).
        p: Two-sided.
        visible: Smallest gain that could have been seen; as in ``formulas.paired_t``.
    """

    error: float
    degrees: float
    low: float
    high: float
    p: float
    visible: float


def crossed(differences: Floats, items: Sequence[int], alpha: float = 0.05, power: float = 0.8) -> Crossed | None:
    """The interval of a macro mean over skills, with seeds and items both drawn.

    Args:
        differences: Of each answer, teacher − baseline, ``(seeds, items)``, items grouped by skill.
        items: How many of them each skill has, positive.
        alpha: Two-sided level.
        power: Of ``visible``.

    Returns:
        ``None`` for fewer than two seeds, or where no skill has two items.
    """
    n, skills = len(differences), len(items)
    if n < 2 or max(items, default=0) < 2:
        return None
    from scipy.special import stdtr, stdtrit

    groups = np.split(np.asarray(differences, np.float64), np.cumsum(items)[:-1], axis=1)
    by_seed = np.mean([group.mean(axis=1) for group in groups], axis=0)
    of_seeds = float(by_seed.var(ddof=1)) / n
    of_items = max(0.0, sum(_of_items(group) for group in groups if group.shape[1] > 1)) / skills**2
    gain, error = float(by_seed.mean()), math.sqrt(of_seeds + of_items)
    parts = ((of_seeds, n - 1), (of_items, sum(items) - skills))
    inverse = sum(part**2 / df for part, df in parts if df)
    degrees = (of_seeds + of_items) ** 2 / inverse if inverse > 0 else float(n - 1)
    reach = float(stdtrit(degrees, 1 - alpha / 2))
    p = float(2 * stdtr(degrees, -abs(gain) / error)) if error > 0 else float(gain == 0)
    visible = (reach + float(stdtrit(degrees, power))) * error
    return Crossed(error, degrees, gain - reach * error, gain + reach * error, p, visible)


def _of_items(group: Floats) -> float:
    """What the draw of one skill's items adds to the variance of its mean; below zero by chance.

    The variance of item means holds a share of the interplay of seeds and items, which that of seeds holds already.
    """
    n, m = group.shape
    of_item, of_seed = group.mean(axis=0), group.mean(axis=1, keepdims=True)
    rest = group - of_item - of_seed + group.mean()
    interplay = float((rest**2).sum()) / ((n - 1) * (m - 1) * n)
    return float((of_item.var(ddof=1) - interplay) / m)
