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


def profile_lines(report: ProfileReport) -> list[tuple[str, ...]]:
    """A line for each profile, under ``HEADS``."""
    return [_line(name, one) for name, profiles in report.teachers.items() for one in profiles]


def sentences(report: ProfileReport) -> list[str]:
    """The same, and how far two agree, for a terminal: a sentence each."""
    said = [
        f"{name}, {before} lessons before, diagnosed by {by} ({problems} problems, runs: {runs}): {shares}"
        for name, before, by, problems, runs, shares in profile_lines(report)
    ]
    for line in map(_pair, report.overlaps):
        one, other, seeds, top, both, chance, rank, same = line
        said.append(
            f"{one} and {other}, seeds: {seeds}. Of the top {top} skills {both} % are in both of either, by chance "
            f"{chance} %. Rank correlation {rank}. Same problems: {same}"
        )
    return said


def for_page(report: ProfileReport | None) -> dict[str, Any]:
    """What the page shows of them, and how many lines it leaves out."""
    if report is None:
        return {"lines": [], "pairs": [], "left": 0, "top": TOP}
    lines, pairs = profile_lines(report), [_pair(one) for one in report.overlaps]
    left = len(lines[LINES:]) + len(pairs[LINES:])
    shown = {"lines": lines[:LINES], "pairs": pairs[:LINES], "left": left, "top": TOP}
    return {"heads": HEADS, "pair_heads": PAIRS, **shown}


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
    same = "; ".join(_same_problems(one)) or NONE
    names = (one.one, one.other, str(one.seeds), f"{one.top} of {one.skills}")
    told = (*names, portion(one.jaccard, 1), portion(one.chance, 1), rank, same)
    return tuple(map(visible, told))


def _same_problems(one: Overlap) -> Iterator[str]:
    """``30/50 (60.0 %) of what one says, 30/40 (75.0 %) of the other, 25 problems``."""
    for who, said in (("the first", one.said), ("the second", one.others)):
        if said:
            yield f"{one.both:,}/{said:,} ({portion(one.both / said, 1)} %) of what {who} says"
    if one.problems:
        yield f"{one.problems:,} problems"
