"""From the rows of a board that is played until its teachers are decided to its looks, and to what a report says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dataenv.leaderboard.accuracy import derive
from dataenv.leaderboard.config import BASELINE, Board, Until
from dataenv.leaderboard.decisions import Decision, Judged, Look
from dataenv.leaderboard.format import MINUS
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.sequential.monitor import Pairs, monitor
from dataenv.leaderboard.statistics import formulas as st
from dataenv.leaderboard.statistics.comparisons import ahead_of, compare, items_asked
from dataenv.leaderboard.statistics.standings import Standing, Summary, Verdict

VERDICTS: Mapping[Decision, Verdict] = {
    "better": "better",
    "worse": "worse",
    "futile": "cannot tell",
    "undecided": "cannot tell",
}


class Monitored(NamedTuple):
    """A board that is played until it is decided, and what its log says of it.

    ``board`` holds the rule and the declared seeds; ``attempts`` counts the configurations that were played in its
    folder; ``otherwise`` names looks of this attempt that came out otherwise when they were played again.
    """

    board: Board
    attempts: int = 1
    otherwise: tuple[int, ...] = ()


def judge(board: Board, rows: Sequence[Row]) -> tuple[Look, ...]:
    """The looks at a board, from its rows in the order of its declared seeds.

    Args:
        board: From ``config.until_decided``.
        rows: As far as they were played; their order does not matter.
    """
    if board.until is None:
        return ()
    scored, played = st.scored_rows(rows), {(row.teacher, row.seed) for row in rows}

    def pairs(name: str) -> Pairs:
        there = [{(name, seed), (BASELINE, seed)} <= played for seed in board.seeds]
        whole = board.seeds[: there.index(False) if False in there else len(there)]
        c, ahead = compare(name, BASELINE, scored), ahead_of(name, BASELINE, scored)
        known = {seed: figure.value for seed, figure in zip(c.seeds, c.differences, strict=True)}
        items = items_asked(scored[name][c.seeds[0]]) if c.seeds else ()
        return Pairs([known.get(seed) for seed in whole], [ahead.get(seed) for seed in whole], items)

    teachers = [entry.shown for entry in board.teachers if entry.shown != BASELINE]
    return monitor(board.until, {name: pairs(name) for name in teachers})


def monitored(summary: Summary, rows: Sequence[Row], how: Monitored | None) -> Summary:
    """A summary whose verdicts, p and intervals are those of the looks; as it is for a board of fixed seeds."""
    if how is None or how.board.until is None:
        return summary
    looks = judge(how.board, rows)
    judged = {one.teacher: one for one in looks[-1].teachers} if looks else {}
    teachers = tuple(_standing(s, judged.get(s.teacher)) for s in summary.teachers)
    told = summary.reading if summary.nobody_right else tuple(_reading(how.board, looks))
    warnings = (*_warnings(how), *summary.warnings)
    fields = {"teachers": teachers, "among": (), "reading": told, "warnings": warnings, "attempts": how.attempts}
    return summary.model_copy(update=fields)


def _standing(standing: Standing, one: Judged | None) -> Standing:
    """A standing with what the last look says of it; without one nothing is said yet."""
    c = standing.comparison
    if standing.teacher == BASELINE or c is None:
        return standing
    if one is None:
        nothing = c.model_copy(update={"p_holm": None, "p_adjusted": None, "low": None, "high": None})
        return standing.model_copy(update={"comparison": nothing, "verdict": "cannot tell", "decision": "undecided"})
    ends: dict[str, object] = {"low": None, "high": None}
    if one.low is not None and one.high is not None:
        low, high = one.low, one.high
        ends = {"low": derive(lambda _: low, c.differences), "high": derive(lambda _: high, c.differences)}
    comparison = c.model_copy(update={"p_holm": None, "p_adjusted": one.p_sequential} | ends)
    return standing.model_copy(
        update={"comparison": comparison, "verdict": VERDICTS[one.decision], "decision": one.decision}
    )


# --- sentences -------------------------------------------------------------------------------------------------------


def _reading(board: Board, looks: Sequence[Look]) -> list[str]:
    until = board.until or Until()
    if not looks:
        return [f"No look yet: the first one is after {until.first} seeds, and nothing is decided before it."]
    last = looks[-1]
    groups: dict[Decision, list[Judged]] = {"better": [], "worse": [], "futile": [], "undecided": []}
    for one in last.teachers:
        groups[one.decision].append(one)
    told = {
        "better": f"better than {BASELINE}",
        "worse": f"worse than {BASELINE}",
        "futile": f"stopped, for it does not {'differ' if until.worse else 'gain'} by {until.effect:g} points or more",
        "undecided": "not decided",
    }
    parts = [f"{told[decision]}: {', '.join(map(_named, ones))}" for decision, ones in groups.items() if ones]
    sentences = [f"After look {last.number} of {len(until.looks)}, {last.seeds} seeds: {'; '.join(parts)}."]
    if last.undecided and last.seeds < until.most:
        sentences.append(f"The board is not finished: it may take {until.most - last.seeds} more seeds.")
    elif last.undecided:
        sentences.append(f"The board took all of its {until.most} seeds.")
    return [
        *sentences,
        "Verdicts hold at every look together, and for all teachers together (at most 5 % err); so do the intervals, "
        "for one teacher. They are of the seeds of each teacher, which are counted beside it.",
    ]


def _named(one: Judged) -> str:
    gain = "" if one.gain is None else f", {100 * one.gain:+.1f} points".replace("-", MINUS)
    return f"{one.teacher} ({one.pairs} seeds{gain})"


def _warnings(how: Monitored) -> list[str]:
    said = []
    if how.attempts > 1:
        said.append(
            f"This is attempt {how.attempts} in this folder: {how.attempts} configurations were played. The 5 % is of "
            "one attempt; over several, the chance of a false verdict adds up."
        )
    if how.otherwise:
        which = ", ".join(map(str, how.otherwise))
        said.append(f"Look {which} came out otherwise when it was played again: some run does not repeat itself.")
    return said
