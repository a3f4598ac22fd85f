"""How much of its worst case a board is likely to take that adds seeds until its teachers are decided: simulated."""

from __future__ import annotations

import numpy as np

from dataenv.leaderboard.config import Board, Until
from dataenv.leaderboard.sequential.monitor import Pairs, monitor
from tasks.records import Record, stream

BOARDS = 100
"""Simulated boards of each kind."""


class Expected(Record):
    """Medians over simulated boards, as a part of the runs of teachers and baseline on all declared seeds.

    Attributes:
        most: Seeds declared.
        effect: The difference worth finding, in points; the sd of differences over seeds is taken to be as large.
        nobody: Where no teacher differs from the baseline.
        one: Where one teacher is better by the difference worth finding.
    """

    most: int
    effect: float
    nobody: float
    one: float


def expected(board: Board) -> Expected | None:
    """The likely part of a board; ``None`` for one of fixed seeds, or of a baseline alone."""
    until, teachers = board.until, len(board.teachers) - 1
    if until is None or not teachers:
        return None
    shares = [_share(until, teachers, gain) for gain in (0.0, until.effect / 100)]
    return Expected(most=until.most, effect=until.effect, nobody=shares[0], one=shares[1])


def _share(until: Until, teachers: int, gain: float) -> float:
    rng, spent = stream(0, "plan until decided"), list[int]()
    for _ in range(BOARDS):
        drawn = until.effect / 100 * rng.standard_normal((teachers, until.most))
        drawn[0] += gain
        last = monitor(until, {str(i): Pairs(d) for i, d in enumerate(drawn.tolist())})[-1]
        spent.append(sum(one.seeds for one in last.teachers) + last.seeds)
    return float(np.median(spent)) / (until.most * (teachers + 1))


def told_of(found: Expected | None, seconds: float) -> list[str]:
    """The same in words; nothing for a board of fixed seeds."""
    if found is None:
        return []
    nobody, one = (f"{100 * share:.0f} % of it ({_minutes(share * seconds)})" for share in (found.nobody, found.one))
    return [
        f"Seeds are added until each teacher is decided, {found.most} at the most: the figures above are of all of "
        f"them. Likely are {nobody} where no teacher differs from the baseline, and {one} where one does by "
        f"{found.effect:g} points, if differences vary as much over seeds (simulated)."
    ]


def _minutes(seconds: float) -> str:
    return f"about {round(seconds) // 60}:{round(seconds) % 60:02d}"
