"""Teachers among each other: every pair of those that are compared with the baseline.

The verdicts of a board are against the baseline. These comparisons are a second family of their own: the same three
tests, corrected over all pairs together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from dataenv.leaderboard.config import BASELINE
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.comparisons import compare, in_family
from dataenv.leaderboard.statistics.formulas import ALPHA
from dataenv.leaderboard.statistics.standings import Comparison, Standing

MOST = 12
"""Teachers up to which all pairs are compared: more pairs could hardly be told apart, or be read."""


def among(teachers: Sequence[Standing], scored: Mapping[str, Mapping[int, Row]]) -> tuple[Comparison, ...]:
    """Every pair of teachers beside the baseline, with the p that are corrected for the number of pairs.

    A teacher that failed on a seed is left out: a pair leaves out the seeds on which its second failed, which would
    flatter that one.

    Args:
        teachers: Ranked; the better one of a pair comes first.
        scored: From ``scored_rows``.

    Returns:
        Empty where there are fewer than two such teachers, or more than ``MOST``.
    """
    names = [
        s.teacher
        for s in teachers
        if s.teacher != BASELINE
        and not s.unscored
        and s.teacher in scored
        and not any(row.failed for row in scored[s.teacher].values())
    ]
    if len(names) > MOST:
        return ()
    pairs = {f"{a} {b}": compare(a, b, scored) for a, b in combinations(names, 2)}
    return tuple(in_family(pairs).values())


def told_apart(pairs: Sequence[Comparison]) -> str:
    """Who did better than whom, as a part of a sentence; empty without a pair."""
    if not pairs:
        return ""
    ahead: dict[str, list[str]] = {}
    for c in pairs:
        if c.p_adjusted is not None and c.gain is not None and c.p_adjusted < ALPHA:
            better, worse = (c.teacher, c.baseline) if c.gain.value > 0 else (c.baseline, c.teacher)
            ahead.setdefault(better, []).append(worse)
    of = f"among each other ({len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}, corrected together)"
    said = [f"{name} did better than {listed(others)}" for name, others in ahead.items()]
    return f"{of} {', '.join(said) if said else 'no two can be told apart'}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: ``a, b and c``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
