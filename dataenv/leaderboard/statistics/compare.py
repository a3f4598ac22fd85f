"""``compare``: two teachers of one board, or one teacher on two boards, paired by seed and item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dataenv.errors import SettingError, did_you_mean
from dataenv.leaderboard.accuracy import Accuracy, difference
from dataenv.leaderboard.folder import settings_compared
from dataenv.leaderboard.format import counts, p_value, percent, signed, visible
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics import formulas as st
from dataenv.leaderboard.statistics.comparisons import compare
from dataenv.leaderboard.statistics.standings import Comparison
from dataenv.leaderboard.statistics.summary import interval
from tasks.records import Record

if TYPE_CHECKING:
    from rich.table import Table

AFTERWARDS = "p is for this pair alone: not corrected, and looked up after the board was played"


class BySkill(Record):
    """Both teachers' test answers on one skill, over the seeds of the pairs."""

    skill: str
    teacher: Accuracy
    baseline: Accuracy


class PairedRuns(Record):
    """A comparison and its skills.

    Attributes:
        comparison: See ``standings.Comparison``; its ``p`` is of this pair alone.
        by_skill: In the order of the task's skills; empty where there are no common seeds.
        notes: What a reader must know, one sentence each.
    """

    comparison: Comparison
    by_skill: tuple[BySkill, ...]
    notes: tuple[str, ...] = ()


def compare_teachers(rows: Sequence[Row], teacher: str, baseline: str) -> PairedRuns:
    """Two teachers of one board.

    Raises:
        SettingError: If one of them is not on the board, or both are the same.
    """
    _on_board(rows, teacher)
    _on_board(rows, baseline)
    if teacher == baseline:
        raise SettingError(f"teacher {teacher!r} would be compared with itself; name two")
    return _pair(teacher, baseline, st.scored_rows(rows), rows[0].targets, ())


def compare_boards(
    ours: Sequence[Row], theirs: Sequence[Row], teachers: Sequence[str], names: tuple[str, str]
) -> list[PairedRuns]:
    """The same teachers on two boards that ask the same test problems: the first board minus the second.

    Args:
        ours: Rows of the first board.
        theirs: Rows of the second.
        teachers: Whom; all that both have, where empty.
        names: What the boards are called, two different names.

    Raises:
        SettingError: If the boards cannot be compared, or a teacher is not on both.
    """
    _same_exam(ours, theirs)
    both = {row.teacher for row in ours} & {row.teacher for row in theirs}
    if not both:
        raise SettingError("the boards have no teacher in common; compare boards that share one")
    for teacher in teachers:
        _on_board(ours, teacher)
        _on_board(theirs, teacher)
    scored = {f"{t} of {names[0]}": seeds for t, seeds in st.scored_rows(ours).items()}
    scored |= {f"{t} of {names[1]}": seeds for t, seeds in st.scored_rows(theirs).items()}
    pairs = []
    for teacher in teachers or sorted(both):
        notes = _setting_notes(ours, theirs, teacher)
        pairs.append(_pair(f"{teacher} of {names[0]}", f"{teacher} of {names[1]}", scored, ours[0].targets, notes))
    return pairs


def _on_board(rows: Sequence[Row], teacher: str) -> None:
    known = sorted({row.teacher for row in rows})
    if teacher not in known:
        hint = did_you_mean(teacher, known, f"it has {', '.join(known)}")
        raise SettingError(f"teacher {teacher!r} is not on board {rows[0].board!r}; {hint}")


def _same_exam(ours: Sequence[Row], theirs: Sequence[Row]) -> None:
    """Whether item i of one board is item i of the other."""
    a, b = (next((row for row in rows if row.test is not None), rows[0]) for rows in (ours, theirs))
    if a.hashes.get("task") != b.hashes.get("task"):
        raise SettingError(
            "the boards ask problems of different tasks (hashes.task differs); compare boards of one task"
        )
    if a.test is None or b.test is None:
        raise SettingError("one of the boards has no run that was examined; play it to the end first")
    if a.skills != b.skills or a.test.n != b.test.n or a.test.attempts != b.test.attempts:
        raise SettingError(
            "the boards have different test items (setting.items.test, setting.exam); play them with equal exams"
        )
    purses = {row.curve.purse for row in (a, b) if row.curve is not None}
    if a.primary != b.primary or len(purses) > 1:
        raise SettingError("the boards have different primary outcomes or purses; play them with the same ones")
    if a.simulated != b.simulated:
        raise SettingError("one of the boards has a simulated student; those are never compared with real ones")


def _setting_notes(ours: Sequence[Row], theirs: Sequence[Row], teacher: str) -> tuple[str, ...]:
    """What else differs between the two, so that a reader does not take the gain for the teacher's."""
    a, b = (next(row for row in rows if row.teacher == teacher) for rows in (ours, theirs))
    changed = settings_compared(b.setting, a.setting)
    if a.teacher_args != b.teacher_args:
        changed.append("teacher_args")
    if a.mask != b.mask:
        changed.append("mask")
    if a.hashes.get("student") != b.hashes.get("student") and not any("student" in line for line in changed):
        changed.append("student code or numerics")
    return (f"differs too: {'; '.join(changed)}",) if changed else ()


def _pair(
    teacher: str,
    baseline: str,
    scored: Mapping[str, Mapping[int, Row]],
    skills: Sequence[str],
    notes: tuple[str, ...],
) -> PairedRuns:
    comparison = compare(teacher, baseline, scored)
    ours, theirs = (_by_skill(scored[name], comparison.seeds) for name in (teacher, baseline))
    by_skill = tuple(BySkill(skill=s, teacher=a, baseline=b) for s, a, b in zip(skills, ours, theirs, strict=False))
    failed = [
        f"{name} failed on seed {', '.join(map(str, seeds))}, scored as the untaught student"
        for name in (teacher,)
        if (seeds := [seed for seed, row in scored[name].items() if row.failed])
    ]
    return PairedRuns(comparison=comparison, by_skill=by_skill, notes=(*notes, *failed, *comparison.notes))


def _by_skill(rows: Mapping[int, Row], seeds: Sequence[int]) -> list[Accuracy]:
    """Test counts by skill over seeds; empty without seeds."""
    exams = [exam for seed in seeds if (exam := rows[seed].test) is not None]
    if not exams:
        return []
    by_skill = zip(*(exam.counts for exam in exams), strict=True)
    pairs = [(sum(k for k, _ in some), sum(n for _, n in some)) for some in by_skill]
    return [Accuracy(k=k, n=n, split="test") for k, n in pairs if n]


# --- shown -----------------------------------------------------------------------------------------------------------


def sentences(pair: PairedRuns) -> list[str]:
    """The gain with its interval and p, the items, the seeds, and the notes."""
    c = pair.comparison
    said = [f"{c.teacher} − {c.baseline}: {interval(c)}, p {p_value(c.p)} ({AFTERWARDS})."]
    if c.seeds:
        ties = c.items - c.won - c.lost
        said.append(f"Items: {c.won:,} won, {c.lost:,} lost, {ties:,} alike, of {c.items:,} of the test split.")
        each = ", ".join(f"{seed}: {signed(d)}" for seed, d in zip(c.seeds, c.differences, strict=True))
        said.append(f"By seed, in points: {each}.")
    if pair.by_skill and not any(row.teacher.k or row.baseline.k for row in pair.by_skill):
        said.append("Neither of the two answered any test problem right, so this says nothing of them.")
    elif c.visible:
        said.append(f"The smallest gain that could have been seen is {percent(c.visible)} points.")
    return said + [f"Note: {note}." for note in pair.notes]


def table(pair: PairedRuns) -> Table:
    """Skill by skill: right answers of both, and the difference in points."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("skill", overflow="fold")
    for name in (pair.comparison.teacher, pair.comparison.baseline, "points"):
        shown.add_column(Text(visible(name)), justify="right", overflow="fold")
    for row in pair.by_skill:
        gain = signed(difference(row.teacher, row.baseline))
        shown.add_row(Text(visible(row.skill)), counts(row.teacher), counts(row.baseline), gain)
    return shown
