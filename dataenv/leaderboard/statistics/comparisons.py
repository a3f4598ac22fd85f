"""Paired comparisons of the primary outcome, and what counts as a difference.

A verdict needs three things. The paired t over seeds and the crossed interval over seeds and items must both clear
zero after Holm (1979), and so must the joint sign-flip test, which has its own correction. The largest p counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dataenv.leaderboard.accuracy import Derived, Floats, derive
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.crossed import crossed
from dataenv.leaderboard.statistics.formulas import SAME, PairedT, holm, paired_t
from dataenv.leaderboard.statistics.outcomes import by_item, outcome_difference
from dataenv.leaderboard.statistics.sign_flips import sign_flips
from dataenv.leaderboard.statistics.standings import Comparison


def compare(teacher: str, baseline: str, scored: Mapping[str, Mapping[int, Row]]) -> Comparison:
    """``teacher`` − ``baseline``: per seed the difference of their primary outcomes on the same items.

    Seeds that one of them lacks are left out, and so are seeds where the *baseline* failed: scoring those as untaught
    would flatter everyone else. A teacher's own failures stay in.

    Args:
        teacher: Name; may have no rows.
        baseline: Name; may have no rows.
        scored: From ``scored_rows``.
    """
    ours, theirs = scored.get(teacher, {}), scored.get(baseline, {})
    seeds = _common(ours, theirs)
    differences = tuple(outcome_difference(ours[seed], theirs[seed]) for seed in seeds)
    ahead = np.array(list(ahead_of(teacher, baseline, scored).values()))
    items = items_asked(ours[seeds[0]]) if seeds else ()
    return Comparison(
        teacher=teacher,
        baseline=baseline,
        seeds=seeds,
        differences=differences,
        won=int((ahead > SAME).sum()),
        lost=int((ahead < -SAME).sum()),
        items=ahead.size,
        notes=_notes(ours, theirs, differences, baseline),
        **_figures(differences, ahead, items),
    )


def ahead_of(teacher: str, baseline: str, scored: Mapping[str, Mapping[int, Row]]) -> dict[int, Floats]:
    """By seed that both have, and on which the baseline did not fail: the difference on each test item, ``(items,)``.

    Args:
        teacher: Name; may have no rows.
        baseline: Name; may have no rows.
        scored: From ``scored_rows``.
    """
    ours, theirs = scored.get(teacher, {}), scored.get(baseline, {})
    return {seed: by_item(ours[seed]) - by_item(theirs[seed]) for seed in _common(ours, theirs)}


def _common(ours: Mapping[int, Row], theirs: Mapping[int, Row]) -> tuple[int, ...]:
    """The seeds of the pairs."""
    return tuple(seed for seed in sorted(ours) if seed in theirs and not theirs[seed].failed)


def items_asked(row: Row) -> tuple[int, ...]:
    """How many test items each skill has that is asked; empty without an exam."""
    return tuple(n for n in row.test.n if n) if row.test is not None else ()


def _figures(
    differences: Sequence[Derived], ahead: np.ndarray, items: Sequence[int]
) -> dict[str, Derived | float | None]:
    """Gain, both intervals and the one that holds them, and all p of a comparison alone."""
    values = [d.value for d in differences]
    t, both = paired_t(values), crossed(ahead, items)
    if t.gain is None:
        return {"p": None}

    def figure(value: float | None) -> Derived | None:
        return None if value is None else derive(lambda _: value, differences)

    gain = derive(np.mean, differences)
    if t.low is None or t.high is None:
        return {"gain": gain, "p": None}
    p = {"p_seeds": p_of_seeds(t), "p_items": both.p if both else None}
    p["p_flips"] = sign_flips({"": dict(enumerate(values))})[""]
    return {
        "gain": gain,
        "sd": figure(t.sd),
        "low": figure(min(t.low, both.low) if both else t.low),
        "high": figure(max(t.high, both.high) if both else t.high),
        "seeds_low": figure(t.low),
        "seeds_high": figure(t.high),
        "items_low": figure(both.low if both else None),
        "items_high": figure(both.high if both else None),
        "visible": figure(max(t.visible, both.visible) if both and t.visible is not None else t.visible),
        "p": max(value for value in p.values() if value is not None),
        **p,
    }


def p_of_seeds(t: PairedT) -> float:
    """The p of a paired t; where all seeds gave the same difference, its limit: the sign flips then decide alone."""
    assert t.gain is not None, "there is a seed"
    return float(abs(t.gain) < SAME) if t.p is None or not t.sd else t.p


def in_family(family: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Comparisons with one baseline, by teacher, with the p that are corrected for their number."""
    known = {name: c for name, c in family.items() if c.p is not None}
    parametric = {name: max(c.p_seeds or 0.0, c.p_items or 0.0) for name, c in known.items()}
    by_seed = {name: {s: d.value for s, d in zip(c.seeds, c.differences, strict=True)} for name, c in known.items()}
    by_holm, counting = holm(parametric), corrected(parametric, by_seed)
    return {
        name: c.model_copy(update={"p_holm": by_holm.get(name), "p_adjusted": counting.get(name)})
        for name, c in family.items()
    }


def corrected(p: Mapping[str, float], differences: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """The p that count: the larger of Holm's and that of the joint sign flips.

    Args:
        p: Of each teacher alone, over seeds and items.
        differences: See ``sign_flips``; of the same teachers.
    """
    by_holm, flipped = holm(p), sign_flips(differences)
    return {name: max(by_holm[name], flipped[name]) for name in by_holm}


def _notes(
    ours: Mapping[int, Row], theirs: Mapping[int, Row], differences: Sequence[Derived], baseline: str
) -> tuple[str, ...]:
    notes, n = [], len(differences)
    broken = [seed for seed, row in theirs.items() if row.failed]
    if broken:
        notes.append(f"{baseline} failed on seed {', '.join(map(str, broken))}, left out of the pairs")
    if n < max(len(ours), len(theirs) - len(broken)):
        notes.append(f"paired on the {n} seeds that both have")
    if n < 2:
        notes.append("fewer than two common seeds: no interval")
    elif np.ptp([d.value for d in differences]) < SAME:
        notes.append("every seed gave the same difference: p by sign flips")
    return tuple(notes)
