"""Missing-skill profiles of a board: what the answers of its students lacked, and how far two diagnosers agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import comb

import numpy as np
from pydantic import Field

from dataenv.episode.profiles import SkillProfile
from dataenv.errors import SettingError
from dataenv.leaderboard.accuracy import Floats
from dataenv.leaderboard.rows import Row
from tasks.records import Record

TOP = 5
"""Skills at the head of a profile that two profiles are compared by."""
MOST = 12
"""Sources of profiles up to which all pairs are compared."""
Source = tuple[str, Mapping[int, SkillProfile]]
"""A teacher and its diagnoser by name, and a profile by seed."""


class MeanProfile(Record):
    """The profile of one diagnoser at one lesson, over the runs of a teacher that made one there.

    Attributes:
        step: Of the students that were looked at; 0 is the untaught one.
        diagnoser: Who said what is missing.
        used: Whether the teacher taught by it.
        runs: Profiles behind it.
        problems: Difficult problems that were diagnosed, over these runs.
        shares: By skill, its share of all that is missing, mean over those runs that miss anything: in (0, 1], the
            largest first; empty where nothing was missing.
    """

    step: int
    diagnoser: str
    used: bool = True
    runs: int
    problems: int
    shares: dict[str, float]


class Overlap(Record):
    """How far two sources of profiles agree; means over the seeds that both have.

    Attributes:
        one: A teacher and its diagnoser; ``other`` the other source.
        seeds: Pairs of profiles behind the means.
        skills: Skills that are ranked.
        top: Skills at the head of each profile that are looked at.
        jaccard: Of these heads: skills in both, of the skills in either; in [0, 1].
        chance: What two random heads of that size would have on average.
        rank: Spearman's correlation of the two rankings of all skills, in [-1, 1]; ``None`` where one of them ranks
            nothing.
        ranked: Pairs of profiles behind ``rank``.
        problems: Problems that both diagnosed one by one.
        both: Skills that both say of the same problem, summed over these problems.
        said: Skills that ``one`` says of them; ``others`` those that ``other`` says. STAT reports both/said.
    """

    one: str
    other: str
    seeds: int
    skills: int
    top: int
    jaccard: float
    chance: float
    rank: float | None
    ranked: int
    problems: int = 0
    both: int = 0
    said: int = 0
    others: int = 0


class ProfileReport(Record):
    """All profiles of a board.

    Attributes:
        teachers: By teacher, its profiles: by step, then by diagnoser.
        overlaps: Every pair of sources on the untaught student, where they are at most ``MOST``; and the first and the
            last profile of each source that made several in a run.
    """

    teachers: dict[str, tuple[MeanProfile, ...]] = {}
    overlaps: tuple[Overlap, ...] = Field(default=())


def profile_report(rows: Iterable[Row], top: int = TOP) -> ProfileReport | None:
    """The profiles of some rows; ``None`` where they hold none.

    Args:
        rows: Of one board, or of several that share their skills.
        top: See ``Overlap``.
    """
    rows = [row for row in rows if row.profiles]
    if not rows:
        return None
    found: dict[str, dict[tuple[int, str, bool], list[SkillProfile]]] = {}
    for row in sorted(rows, key=lambda row: (row.teacher, row.seed)):
        for one in row.profiles:
            found.setdefault(row.teacher, {}).setdefault((one.step, one.diagnoser, one.used), []).append(one)
    teachers = {
        name: tuple(_mean(some) for _, some in sorted(kinds.items(), key=lambda item: (item[0][0], not item[0][2])))
        for name, kinds in found.items()
    }
    return ProfileReport(teachers=teachers, overlaps=tuple(_overlaps(rows, rows[0].skills, top)))


def of_boards(boards: Mapping[str, Sequence[Row]], top: int = TOP) -> ProfileReport:
    """The profiles of one board or of two, whose teachers are then named with the board before them.

    Args:
        boards: The rows of each, by its folder.
        top: See ``Overlap``.

    Raises:
        SettingError: If no teacher made a profile, or the boards have other skills.
    """
    every = [row for rows in boards.values() for row in rows]
    if len({row.skills for row in every}) > 1:
        raise SettingError(f"{' and '.join(boards)} have other skills; give two boards of one task and one skills file")
    if len(boards) > 1:
        named = [(folder, row) for folder, rows in boards.items() for row in rows]
        every = [row.model_copy(update={"teacher": f"{folder}: {row.teacher}"}) for folder, row in named]
    found = profile_report(every, top)
    if found is None:
        raise SettingError(
            f"the rows of {' and '.join(boards)} hold no profile; play a teacher that makes one, such as stat-sel"
        )
    return found


def _mean(profiles: Sequence[SkillProfile]) -> MeanProfile:
    each = [one.shares for one in profiles if one.missing]
    names = sorted({skill for shares in each for skill in shares})
    mean = {skill: float(np.mean([shares.get(skill, 0.0) for shares in each])) for skill in names}
    return MeanProfile(
        step=profiles[0].step,
        diagnoser=profiles[0].diagnoser,
        used=profiles[0].used,
        runs=len(profiles),
        problems=sum(one.problems for one in profiles),
        shares=dict(sorted(mean.items(), key=lambda item: (-item[1], item[0]))),
    )


def _overlaps(rows: Sequence[Row], skills: Sequence[str], top: int) -> list[Overlap]:
    first, last = _sources(rows, last=False), _sources(rows, last=True)
    pairs = list(combinations(first.items(), 2)) if len(first) <= MOST else []
    found = [overlap(one, other, skills, top) for one, other in pairs]
    for name, ends in last.items():
        start = first.get(name, {})
        begun = {seed: start[seed] for seed, end in ends.items() if seed in start and end.step > 0}
        if begun:
            after = {seed: ends[seed] for seed in begun}
            found.append(overlap((f"{name}, first", begun), (f"{name}, last", after), skills, top))
    return [one for one in found if one is not None]


def _sources(rows: Sequence[Row], last: bool) -> dict[str, dict[int, SkillProfile]]:
    """By teacher and diagnoser, and by seed: the profile of the untaught student, or the last one of the run."""
    found: dict[str, dict[int, SkillProfile]] = {}
    for row in sorted(rows, key=lambda row: (row.teacher, row.seed)):
        for one in row.profiles:
            by_seed = found.setdefault(f"{row.teacher} ({one.diagnoser})", {})
            if last or (one.step == 0 and row.seed not in by_seed):
                by_seed[row.seed] = one
    return {name: by_seed for name, by_seed in found.items() if by_seed}


def overlap(one: Source, other: Source, skills: Sequence[str], top: int = TOP) -> Overlap | None:
    """How far two sources agree, paired by seed; ``None`` where they share no seed on which both miss something.

    Args:
        one: A source.
        other: Another one.
        skills: All skills, in order; of equally frequent ones the earlier comes first.
        top: Skills at the head of each, 1 or more.
    """
    seeds = [seed for seed in one[1] if seed in other[1] and one[1][seed].missing and other[1][seed].missing]
    if not seeds:
        return None
    pairs = [(one[1][seed], other[1][seed]) for seed in seeds]
    heads = [(head(a, skills, top), head(b, skills, top)) for a, b in pairs]
    ranks = [rank_correlation(_weights(a, skills), _weights(b, skills)) for a, b in pairs]
    told = [rank for rank in ranks if rank is not None]
    both = [(a.lacks[p], b.lacks[p]) for a, b in pairs for p in a.lacks if p in b.lacks]
    return Overlap(
        one=one[0],
        other=other[0],
        seeds=len(seeds),
        skills=len(skills),
        top=min(top, len(skills)),
        jaccard=float(np.mean([len(a & b) / len(a | b) for a, b in heads])),
        chance=float(np.mean([by_chance(len(a), len(b), len(skills)) for a, b in heads])),
        rank=float(np.mean(told)) if told else None,
        ranked=len(told),
        problems=len(both),
        both=sum(len(set(a) & set(b)) for a, b in both),
        said=sum(len(set(a)) for a, _ in both),
        others=sum(len(set(b)) for _, b in both),
    )


def head(profile: SkillProfile, skills: Sequence[str], top: int) -> set[str]:
    """The most frequent missing skills, ``top`` at the most; fewer where fewer are missing."""
    missing = [skill for skill in skills if skill in profile.missing]
    return set(sorted(missing, key=lambda skill: -profile.missing[skill])[:top])


def by_chance(a: int, b: int, n: int) -> float:
    """The mean Jaccard index of two random subsets of ``n`` things, of ``a`` and ``b`` of them (hypergeometric)."""
    shared = range(max(0, a + b - n), min(a, b) + 1)
    return sum(comb(a, i) * comb(n - a, b - i) * i / (a + b - i) for i in shared) / comb(n, b)


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rank correlation; equal values share their mean rank. ``None`` where one side has a single value."""
    x, y = (_ranks(values) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else None


def _ranks(values: Sequence[float]) -> Floats:
    given = np.asarray(values, np.float64)
    below, equal = (given[:, None] > given).sum(1), (given[:, None] == given).sum(1)
    return np.asarray(below + (equal + 1) / 2, np.float64)


def _weights(profile: SkillProfile, skills: Sequence[str]) -> list[float]:
    return [profile.missing.get(skill, 0.0) for skill in skills]
