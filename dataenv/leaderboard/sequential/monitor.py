"""Seeds until decided: a group-sequential test of every teacher against the baseline, at looks declared beforehand.

At each look a teacher's p over its seeds so far (``paired_t``) becomes a normal deviate z. Its statistic is the largest
|z| · (n / most)^(1/2 − Δ) of all looks so far: the boundaries of Wang and Tsiatis (1987), between those of Pocock
(Δ = 1/2) and of O'Brien and Fleming (Δ = 0). The *sequential p* is the chance that, without a difference, a statistic
so large is seen at any of the declared looks. It so holds at every look, whenever somebody stops, and Holm over the
teachers keeps the family-wise error, whoever was stopped before and however the teachers depend on each other.

That a teacher is futile never helps another one to a verdict (the bound is non-binding), so it costs no error. The
looks are a pure function of the differences in the order of the declared seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from dataenv.leaderboard.accuracy import Floats
from dataenv.leaderboard.config import Until
from dataenv.leaderboard.decisions import Judged, Look
from dataenv.leaderboard.statistics.formulas import ALPHA, PairedT, holm, paired_t

DELTA = 0.4
"""Shape of the boundaries. Nearer to Pocock's, so that large differences stop early; chosen by simulation."""
FUTILE = 0.9
"""Level at which a difference of the size worth finding is excluded, in each direction."""
NODES, LARGEST, STEPS = 120, 9.0, 300

Pairs = Sequence[float | None]
"""A teacher's differences to the baseline in the order of the declared seeds; ``None`` where the baseline failed."""


class _Path(NamedTuple):
    """What is known of a teacher after a look: its largest statistic, and the direction in which it was seen."""

    statistic: float = 0.0
    up: bool = True
    judged: Judged | None = None


# --- boundaries ------------------------------------------------------------------------------------------------------


def shape(n: int, most: int) -> float:
    """Height of the boundary of |z| at n seeds, in units of that at the last look."""
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


def sequential_p(statistic: float, looks: tuple[int, ...]) -> float:
    """``crossing`` from a table: 1 at 0, and at least 1e-14."""
    return math.exp(float(np.interp(statistic, *_table(looks))))


@cache
def bound_at(alpha: float, looks: tuple[int, ...]) -> float:
    """The statistic whose sequential p is ``alpha``."""
    bounds, chances = _table(looks)
    return float(np.interp(-math.log(alpha), -chances, bounds))


# --- looks -----------------------------------------------------------------------------------------------------------


def monitor(
    until: Until, differences: Mapping[str, Pairs], untaught: Pairs = (), alpha: float = ALPHA
) -> tuple[Look, ...]:
    """The looks at a board, as far as it was played.

    Args:
        until: The rule.
        differences: By teacher, in parts of 1, in the order of the declared seeds, as far as they were played.
        untaught: The same of the untaught student; needed for ``until.guard``.
        alpha: Family-wise error.

    Returns:
        Every look at which all teachers that were undecided before have all seeds; none after all are decided.
    """
    paths, looks = dict.fromkeys(differences, _Path()), list[Look]()
    active = list(differences)
    for number, n in enumerate(until.looks, 1):
        if not active or min(len(differences[teacher]) for teacher in active) < n:
            break
        guard = _guard(untaught[:n]) if until.guard else None
        for teacher in active:
            paths[teacher] = _seen(until, teacher, n, differences[teacher][:n], guard, paths[teacher])
        judged = [path.judged for path in paths.values() if path.judged is not None]
        adjusted = holm({one.teacher: one.p_sequential for one in judged})
        for one in judged:
            decision = one.decision
            if one.teacher in active and adjusted[one.teacher] < alpha:
                decision = "better" if paths[one.teacher].up else "worse"
            changed = one.model_copy(update={"p_holm": _rounded(adjusted[one.teacher]), "decision": decision})
            paths[one.teacher] = paths[one.teacher]._replace(judged=changed)
        look = Look(number=number, seeds=n, teachers=tuple(p.judged for p in paths.values() if p.judged is not None))
        looks.append(look)
        active = list(look.undecided)
    return tuple(looks)


def _seen(until: Until, teacher: str, n: int, pairs: Pairs, guard: float | None, before: _Path) -> _Path:
    """A teacher after one more look, before Holm."""
    values = [value for value in pairs if value is not None]
    t, looks = paired_t(values), until.looks
    up, z = (t.gain or 0.0) > 0, _deviate(t)
    if guard is not None and up:
        guarded = paired_t([*values, guard])
        z = min(z, _deviate(guarded)) if (guarded.gain or 0.0) > 0 else 0.0
    statistic = z / shape(n, until.most)
    if statistic <= before.statistic:
        statistic, up = before.statistic, before.up
    low, high = _ends(t, len(values), 2 * _upper(bound_at(ALPHA, looks) * shape(n, until.most)))
    p = float(f"{sequential_p(statistic, looks):.6g}")
    judged = Judged(
        teacher=teacher,
        seeds=n,
        pairs=len(values),
        gain=_rounded(t.gain),
        low=_rounded(low),
        high=_rounded(high),
        p=_rounded(t.p),
        p_sequential=p,
        p_holm=p,
        decision="futile" if _is_futile(t, len(values), until.effect / 100) else "undecided",
    )
    return _Path(statistic, up, judged)


def _is_futile(t: PairedT, pairs: int, effect: float) -> bool:
    """Whether a difference of the size worth finding is excluded in both directions."""
    low, high = _ends(t, pairs, 2 * (1 - FUTILE))
    return low is not None and high is not None and -effect < low and high < effect


def _ends(t: PairedT, pairs: int, alpha: float) -> tuple[float | None, float | None]:
    """The 1 − alpha interval of the gain over seeds."""
    if t.gain is None or t.sd is None:
        return None, None
    from scipy.special import stdtrit

    reach = float(stdtrit(pairs - 1, 1 - alpha / 2)) * t.sd / math.sqrt(pairs) if t.sd else 0.0
    return t.gain - reach, t.gain + reach


def _guard(untaught: Pairs) -> float | None:
    """What one more run counts that ends as the untaught student: its mean difference to the baseline."""
    values = [value for value in untaught if value is not None]
    return float(np.mean(values)) if values else None


def _deviate(t: PairedT) -> float:
    """|z| of the same two-sided p; 0 where there is none."""
    from scipy.special import ndtri

    return 0.0 if t.p is None else float(-ndtri(max(t.p, 1e-300) / 2))


def _upper(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-z))


def _rounded(value: float | None) -> float | None:
    """Six digits: what is logged is compared with what another machine computes."""
    return None if value is None else float(f"{value:.6g}")
