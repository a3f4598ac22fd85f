"""Seeds until decided: every teacher is tested against the baseline at looks that were declared beforehand.

At each look the tests of a board of fixed seeds are made on the seeds so far: paired t, seeds and items crossed, and
joint sign flips, each corrected for the number of teachers; the largest p counts (``comparisons.corrected``). Its part
for one teacher of m, p / m, becomes a normal deviate z. The statistic is the largest z · (n / most)^(1/2 − Δ) of all
looks so far: the boundaries of Wang and Tsiatis (1987), between those of Pocock (Δ = 1/2) and of O'Brien and Fleming
(Δ = 0). The *sequential p* is m times the chance that, without a difference, one teacher has a statistic so large at
any of the looks. So it holds at every look and for all teachers together, whoever stops, and whenever.

Who is better or worse leaves the family of those that are tested, as in any step-down test (Glimm, Maurer and Bretz,
2010, doi:10.1002/sim.3748). Who is futile stays in it, so that its end never helps another teacher to a verdict.

The looks are a pure function of the differences in the order of the declared seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from dataenv.leaderboard.accuracy import Floats
from dataenv.leaderboard.config import Until
from dataenv.leaderboard.decisions import Decision, Judged, Look
from dataenv.leaderboard.statistics.comparisons import corrected, p_of_seeds
from dataenv.leaderboard.statistics.crossed import Crossed, crossed
from dataenv.leaderboard.statistics.formulas import ALPHA, PairedT, paired_t

DELTA = 0.4
"""Shape of the boundaries. Nearer to Pocock's, so that large differences stop early; chosen by simulation."""
FUTILE = 0.9
"""Level at which a difference of the size worth finding is excluded, in each direction that is looked at."""
NODES, LARGEST, STEPS = 120, 9.0, 300


class Pairs(NamedTuple):
    """A teacher and the baseline, in the order of the declared seeds, as far as they were played.

    Attributes:
        differences: Of the primary outcome, in parts of 1; ``None`` where the baseline failed.
        ahead: The same of each test item, ``(items,)`` where there is a difference; empty if seeds alone are looked at.
        items: How many test items each skill has; see ``crossed``.
    """

    differences: Sequence[float | None]
    ahead: Sequence[Floats | None] = ()
    items: Sequence[int] = ()

    def until(self, n: int) -> dict[int, float]:
        """The differences of the first ``n`` seeds that there are, by their place in the order."""
        return {i: d for i, d in enumerate(self.differences[:n]) if d is not None}

    def crossed(self, n: int, alpha: float) -> Crossed | None:
        """Seeds and items crossed, over the first ``n`` seeds."""
        rows = [row for row in self.ahead[:n] if row is not None]
        return crossed(np.array(rows), self.items, alpha) if rows else None


class _Seen(NamedTuple):
    """A teacher at a look, before it is compared with the others of the board."""

    t: PairedT
    both: Crossed | None
    pairs: int
    low: float | None
    high: float | None

    @property
    def p(self) -> float:
        """Of this teacher alone, over seeds and items; 1 where there is no pair."""
        of_t = 1.0 if self.t.gain is None or self.t.low is None else p_of_seeds(self.t)
        return max(of_t, self.both.p if self.both else 0.0)


# --- boundaries ------------------------------------------------------------------------------------------------------


def shape(n: int, most: int) -> float:
    """Height of the boundary of z at n seeds, in units of that at the last look."""
    return float((n / most) ** (DELTA - 0.5))


def crossing(bound: float, looks: Sequence[int]) -> float:
    """Chance that without a difference |z| exceeds ``bound`` · ``shape`` at any look.

    By the recursion of Armitage, McPherson and Rowe (1969): the density of the sum that has stayed inside, look after
    look, by Gauss-Legendre quadrature.

    Args:
        bound: Positive.
        looks: Seeds at each look, rising.
    """
    share = np.array(looks, np.float64) / looks[-1]
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    wide = bound * share**DELTA  # of the sum z · √share
    at, step = wide[0] * nodes, float(share[0])
    density = np.exp(-(at**2) / 2 / step) / math.sqrt(2 * math.pi * step)
    for before, here, step in zip(wide, wide[1:], np.diff(share).tolist(), strict=False):
        there = here * nodes
        kernel = np.exp(-((there[:, None] - at) ** 2) / 2 / step) / math.sqrt(2 * math.pi * step)
        density, at = kernel @ (density * before * weights), there
    return float(1 - density @ (wide[-1] * weights))


@cache
def _table(looks: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Bounds from 0, and the logarithms of their ``crossing``."""
    bounds = np.linspace(0, LARGEST, STEPS + 1)
    chances = np.array([1.0, *(crossing(float(bound), looks) for bound in bounds[1:])])
    return bounds, np.log(np.clip(chances, 1e-14, 1.0))


@cache
def bound_at(alpha: float, looks: tuple[int, ...]) -> float:
    """The statistic that is crossed with the chance ``alpha``."""
    bounds, chances = _table(looks)
    return float(np.interp(-math.log(alpha), -chances, bounds))


def sequential_p(p: float, n: int, teachers: int, looks: tuple[int, ...]) -> float:
    """The p of one look at ``n`` seeds, corrected for the teachers, as it is over all looks."""
    if len(looks) == 1:
        return p
    statistic = _deviate(p / teachers) / shape(n, looks[-1])
    return min(1.0, teachers * math.exp(float(np.interp(statistic, *_table(looks)))))


@cache
def levels(looks: tuple[int, ...], teachers: int, alpha: float = ALPHA) -> dict[int, float]:
    """By seeds of a look: the corrected p up to which a teacher is called better or worse there.

    Early looks are left out if the smallest possible p of sign flips, 2^(1 − n), exceeds it: they give no verdict, and
    they use up none of the error.

    Args:
        looks: Seeds at each look, rising.
        teachers: Without the baseline.
        alpha: Family-wise error.
    """
    for i, first in enumerate(looks):
        left = looks[i:]
        if 2.0 ** (1 - first) > alpha:
            continue
        if len(left) == 1:
            return {first: alpha}
        bound = bound_at(alpha / teachers, left)
        found = {n: teachers * _beyond(bound * shape(n, left[-1])) for n in left}
        if 2.0 ** (1 - first) <= found[first]:
            return found
    return {}


# --- looks -----------------------------------------------------------------------------------------------------------


def monitor(until: Until, teachers: Mapping[str, Pairs], alpha: float = ALPHA) -> tuple[Look, ...]:
    """The looks at a board, as far as it was played.

    Args:
        until: The rule.
        teachers: By label; all but the baseline.
        alpha: Family-wise error.

    Returns:
        Every look at which all teachers that were undecided before have all seeds; none after all are decided.
    """
    judged, looks = dict[str, Judged](), list[Look]()
    telling = tuple(levels(until.looks, max(1, len(teachers)), alpha))
    for number, n in enumerate(until.looks, 1):
        active = [name for name in teachers if name not in judged or judged[name].decision == "undecided"]
        if not active or min(len(teachers[name].differences) for name in active) < n:
            break
        own = _beyond(bound_at(alpha, telling) * shape(n, telling[-1])) if n in telling else None
        seen = {name: _seen(teachers[name], n, own) for name in active}
        adjusted = _adjusted(teachers, seen, judged, n) if n in telling else {}
        for name, one in seen.items():
            p = sequential_p(adjusted[name], n, len(teachers), telling) if adjusted else 1.0
            p = min(p, judged[name].p_sequential if name in judged else 1.0)
            judged[name] = _judged(name, n, one, adjusted.get(name), p, _decision(one, p, until, alpha))
        looks.append(Look(number=number, seeds=n, teachers=tuple(judged[name] for name in teachers)))
    return tuple(looks)


def _seen(pairs: Pairs, n: int, alpha: float | None) -> _Seen:
    """A teacher over its first ``n`` seeds; with the ends of its interval where the look has a level for it."""
    there = pairs.until(n)
    t, both = paired_t(list(there.values())), pairs.crossed(n, alpha or ALPHA)
    low, high = (None, None) if alpha is None else _ends(t, len(there), alpha)
    if low is not None and high is not None and both is not None:
        low, high = min(low, both.low), max(high, both.high)
    return _Seen(t, both, len(there), low, high)


def _adjusted(
    teachers: Mapping[str, Pairs], seen: Mapping[str, _Seen], judged: Mapping[str, Judged], n: int
) -> dict[str, float]:
    """The p that count at a look, of the teachers that go on, in the family of those and of the futile ones."""
    futile = {name: judged[name] for name in judged if judged[name].decision == "futile"}
    differences = {name: teachers[name].until(n) for name in seen}
    seeds = sorted({seed for given in differences.values() for seed in given})
    for name, one in futile.items():
        differences[name] = _gone_on(teachers[name].until(one.seeds), seeds)
    stopped = {name: 1.0 if one.p is None else one.p for name, one in futile.items()}
    alone = {name: one.p for name, one in seen.items()} | stopped
    p = corrected(alone, differences)
    return {name: p[name] for name in seen}


def _gone_on(had: Mapping[int, float], seeds: Sequence[int]) -> dict[int, float]:
    """A teacher that stopped, as if it had gone on with differences of the sizes that it had, as often up as down.

    Sign flips take the largest teacher of every flip. One with few seeds would hardly ever be that one, and those that
    go on were not chosen at random: without it, the last one left would be tested as if it had been the only one.
    """
    sizes = np.abs(list(had.values())) if had else np.zeros(1)
    k, middle = len(sizes), sizes.mean()
    sizes = middle + (sizes - middle) * math.sqrt(k / max(1, k - 1))  # repeated, they would else vary less
    further = [seed for seed in seeds if seed not in had]
    return dict(had) | {seed: float((-1) ** j * sizes[j % k]) for j, seed in enumerate(further)}


def _decision(seen: _Seen, p: float, until: Until, alpha: float) -> Decision:
    """What becomes of a teacher that goes on, by its sequential p."""
    if p <= alpha * (1 + 1e-6):
        return "better" if (seen.t.gain or 0.0) > 0 else "worse"
    low, high = _ends(seen.t, seen.pairs, 2 * (1 - FUTILE))
    if low is None or high is None:
        return "undecided"
    effect = until.effect / 100
    return "futile" if high < effect and (low > -effect or not until.worse) else "undecided"


def _judged(teacher: str, n: int, seen: _Seen, adjusted: float | None, sequential: float, decision: Decision) -> Judged:
    return Judged(
        teacher=teacher,
        seeds=n,
        pairs=seen.pairs,
        gain=_rounded(seen.t.gain),
        low=_rounded(seen.low),
        high=_rounded(seen.high),
        p=_rounded(seen.p),
        p_adjusted=_rounded(adjusted),
        p_sequential=float(f"{sequential:.6g}"),
        decision=decision,
    )


def _ends(t: PairedT, pairs: int, alpha: float) -> tuple[float | None, float | None]:
    """The 1 − alpha interval of the gain over seeds."""
    if t.gain is None or t.sd is None:
        return None, None
    from scipy.special import stdtrit

    reach = float(stdtrit(pairs - 1, 1 - alpha / 2)) * t.sd / math.sqrt(pairs) if t.sd else 0.0
    return t.gain - reach, t.gain + reach


def _deviate(p: float) -> float:
    """|z| of a two-sided p."""
    from scipy.special import ndtri

    return float(-ndtri(max(p, 1e-300) / 2))


def _beyond(z: float) -> float:
    """Chance of a larger |z|."""
    from scipy.special import ndtr

    return float(2 * ndtr(-z))


def _rounded(value: float | None) -> float | None:
    """Six digits: what is logged is compared with what another machine computes."""
    return None if value is None else float(f"{value:.6g}")
