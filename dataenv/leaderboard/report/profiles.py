"""Missing-skill profiles as texts: for the page, the terminal and the CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataenv.leaderboard.format import MINUS, NONE, portion, visible
from dataenv.leaderboard.report.records import Cell
from dataenv.leaderboard.statistics.profiles import TOP, MeanProfile, Overlap, ProfileReport

LINES = 200
"""Profiles that the page shows, and pairs; it says how many it leaves out."""
IN_CSV = 3
"""Skills of a teacher's first profile that have columns in the CSV file."""
LONGEST = 80
"""Characters of a skill's name that are shown."""
HEADS = ("teacher", "lessons before", "diagnosed by", "problems", "runs", "top missing skills, share %")
PAIRS = ("one", "other", "seeds", "top", "in both of either, %", "by chance, %", "rank correlation", "same problems")


def profile_lines(report: ProfileReport, most: int = LINES) -> list[tuple[str, ...]]:
    """A line for each profile, under ``HEADS``."""
    return [_line(name, one) for name, profiles in report.teachers.items() for one in profiles][:most]


def overlap_lines(report: ProfileReport, most: int = LINES) -> list[tuple[str, ...]]:
    """A line for each pair of sources, under ``PAIRS``."""
    return [_pair(one) for one in report.overlaps[:most]]


def for_page(report: ProfileReport | None) -> dict[str, Any]:
    """What the page shows of them, and how many lines it leaves out."""
    if report is None:
        return {"lines": [], "pairs": [], "left": 0, "top": TOP}
    lines, pairs = profile_lines(report), overlap_lines(report)
    left = sum(map(len, report.teachers.values())) + len(report.overlaps) - len(lines) - len(pairs)
    return {"heads": HEADS, "lines": lines, "pair_heads": PAIRS, "pairs": pairs, "left": left, "top": TOP}


def csv_cells(report: ProfileReport | None, teacher: str) -> dict[str, Cell]:
    """The columns of a teacher in the CSV file: the head of its first profile. None where no teacher has a profile."""
    if report is None:
        return {}
    first = next((one for one in report.teachers.get(teacher, ()) if one.used), None)
    found = [*(first.shares.items() if first else ())][:IN_CSV] + [("", None)] * IN_CSV
    cells: dict[str, Cell] = {}
    for i, (skill, share) in enumerate(found[:IN_CSV], start=1):
        cells |= {f"missing_{i}": skill or None, f"missing_{i}_share": share}
    return cells


def _line(name: str, one: MeanProfile) -> tuple[str, ...]:
    by = one.diagnoser if one.used else f"{one.diagnoser}, not taught by"
    shown = [f"{visible(skill, LONGEST)} {portion(share, 1)}" for skill, share in [*one.shares.items()][:TOP]]
    told = (name, str(one.step), by, f"{one.problems:,}", str(one.runs), ", ".join(shown) or "nothing is missing")
    return tuple(map(visible, told))


def _pair(one: Overlap) -> tuple[str, ...]:
    rank = NONE if one.rank is None else f"{one.rank:+.2f} ({one.ranked})".replace("-", MINUS)
    told = (one.one, one.other, str(one.seeds), f"{one.top} of {one.skills}")
    told += (portion(one.jaccard, 1), portion(one.chance, 1), rank, "; ".join(_same_problems(one)) or NONE)
    return tuple(map(visible, told))


def _same_problems(one: Overlap) -> Iterator[str]:
    """``30/50 (60.0 %) of what one says, 30/40 (75.0 %) of the other, 25 problems``."""
    for who, said in (("the first", one.said), ("the second", one.others)):
        if said:
            yield f"{one.both:,}/{said:,} ({portion(one.both / said, 1)} %) of what {who} says"
    if one.problems:
        yield f"{one.problems:,} problems"
