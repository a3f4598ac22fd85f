"""``summarise``: from the rows of a board to its standings, its sensitivity and the sentences that read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from dataenv.attempts import ONCE, Attempts
from dataenv.leaderboard.accuracy import Accuracy, Counted, Derived, derive, mean
from dataenv.leaderboard.conduct import Conduct
from dataenv.leaderboard.config import BASELINE, STATIC, UNTAUGHT
from dataenv.leaderboard.format import percent, signed
from dataenv.leaderboard.rows import Row, Spent, read
from dataenv.leaderboard.statistics import formulas as st
from dataenv.leaderboard.statistics.among import among, listed, told_apart
from dataenv.leaderboard.statistics.comparisons import compare, in_family
from dataenv.leaderboard.statistics.conducted import conduct_sentences
from dataenv.leaderboard.statistics.metrics import axis_of, mean_of
from dataenv.leaderboard.statistics.outcomes import OUTCOMES, outcome
from dataenv.leaderboard.statistics.profiles import profile_report
from dataenv.leaderboard.statistics.standings import Comparison, Standing, Summary, TeacherCost, Verdict
from dataenv.leaderboard.statistics.unanswered import nobody_right, untaught_sentences, why_nobody
from tasks.records import Split


def summarise(
    rows: Iterable[Row | Mapping[str, Any]], metrics: Sequence[str] = (), conduct: Conduct | None = None
) -> Summary:
    """Everything a board shows, from its rows; their order does not matter.

    Args:
        rows: Of one board.
        metrics: Registered metrics, each a further column.
        conduct: How the board was conducted, where its folder tells: it weakens what is said, and decides no figure.

    Raises:
        ValueError: If the rows cannot stand on one board (see ``rows.read``).
        SettingError: If a metric is unknown, or gives what is no number.
    """
    board = read(rows)
    scored, purse, dead = st.scored_rows(board), common_purse(board), nobody_right(board)
    conduct = conduct or Conduct()
    standings = [_standing(name, board, scored, purse, metrics, conduct) for name in scored]
    compared = _compare_all(standings, {} if dead else scored)  # zero minus zero is no comparison
    teachers = _ranked(compared)
    references = sorted((s for s in compared if s.role == "reference"), key=lambda s: s.teacher)
    pairs = [(BASELINE, UNTAUGHT), (STATIC, BASELINE)]
    sensitivity = tuple(compare(a, b, scored) for a, b in pairs if a in scored and b in scored and not dead)
    visible = [c.visible for s in teachers if (c := s.comparison) is not None and c.visible is not None]
    each_other = () if dead else among(teachers, scored)
    exam = next((row.test for row in board if row.test is not None), None)
    return Summary(
        board=board[0].board,
        simulated=board[0].simulated,
        setting_digest=_setting_of(board).setting_digest,
        primary=primary_of(board),
        skills=board[0].targets,
        seeds=tuple(sorted({row.seed for row in board})),
        purse=purse,
        test_items=sum(exam.n) if exam else 0,
        equal_items=exam is None or len(set(exam.n) - {0}) == 1,
        untaught=_pooled([row for _, row in sorted(st.untaught_rows(board).items())]),
        teachers=tuple(teachers),
        references=tuple(references),
        sensitivity=sensitivity,
        visible=(derive(np.min, visible), derive(np.max, visible)) if visible else None,
        typical=derive(np.median, visible) if visible else None,
        core_minutes=conduct.core_minutes,
        nobody_right=dead,
        reading=tuple(why_nobody(board) if dead else _reading(teachers, visible, primary_of(board), each_other)),
        seen=() if dead else tuple(_seen(sensitivity, scored)),
        warnings=(*_warnings(board, compared), *conduct_sentences(compared, conduct)),
        sources=tuple(_sources(board, compared)),
        metrics=tuple(axis_of(name) for name in metrics),
        exam=_attempts(board).name,
        among=each_other,
        rates={row.teacher: row.tuned.rate for row in board if row.tuned is not None},
        profiles=profile_report(board),
    )


def _ranked(standings: Sequence[Standing]) -> list[Standing]:
    """The teachers, best outcome first."""
    teachers = [s for s in standings if s.role == "teacher"]
    return sorted(teachers, key=lambda s: (s.outcome is None, -s.outcome.value if s.outcome else 0, s.teacher))


def primary_of(board: Sequence[Row]) -> Literal["final", "area"]:
    """The primary outcome of a board, as its rows carry it; a run that failed carries none."""
    return next((row.primary for row in board if row.test is not None), "final")


def _attempts(board: Sequence[Row]) -> Attempts:
    """How the exams of a board were held."""
    return next((row.test.attempts for row in board if row.test is not None), ONCE)


def _setting_of(board: Sequence[Row]) -> Row:
    """The run whose setting is the board's: a teacher's, for a reference may have another purse."""
    return next((row for row in board if row.role == "teacher"), board[0])


def common_purse(board: Sequence[Row]) -> int:
    """Student tokens that every teacher of the board may spend."""
    return _setting_of(board).budget.total


def _pooled(rows: Sequence[Row]) -> tuple[Accuracy, ...]:
    """Test counts by skill over runs; empty where there are none."""
    exams = [st.tested(row.test) for row in rows if row.test is not None]
    return tuple(_sum(shares) for shares in zip(*exams, strict=True))


def _sum(shares: Sequence[Accuracy]) -> Accuracy:
    """Counts of one split added up."""
    return Accuracy(k=sum(s.k for s in shares), n=sum(s.n for s in shares), split=shares[0].split)


def _mean_budget(rows: Sequence[Row]) -> dict[str, float]:
    return {field: float(np.mean([getattr(row.budget, field) for row in rows])) for field in Spent.model_fields}


def _standing(
    name: str,
    board: Sequence[Row],
    scored: Mapping[str, Mapping[int, Row]],
    purse: int,
    metrics: Sequence[str],
    conduct: Conduct,
) -> Standing:
    ran = [row for row in board if row.teacher == name]
    rows = [row for _, row in sorted(scored[name].items())]
    unscored = tuple(row.seed for row in ran if row.seed not in scored[name])
    by_seed = tuple(st.score(row.test) for row in rows if row.test is not None)
    outcomes = tuple(outcome(row) for row in rows)
    whole = [] if unscored else rows  # a mean over the runs that went well is not this teacher's
    by_skill = _pooled(whole)
    return Standing(
        teacher=name,
        role=ran[0].role,
        level=ran[0].shown_level,
        seeds=tuple(row.seed for row in ran),
        failed=tuple(row.seed for row in ran if row.failed),
        expected=conduct.runs.get(name),
        replayed=conduct.replayed.get(name, 0),
        unscored=unscored,
        ended=dict(sorted(Counter(row.ended for row in ran).items())),
        outcome=mean(outcomes) if whole else None,
        outcomes=outcomes,
        score=mean(by_seed) if whole else None,
        by_seed=by_seed,
        iqm=st.interquartile_mean(by_seed) if whole else None,
        test=_sum(by_skill) if by_skill else None,
        by_skill=by_skill,
        lenient=_lenient(whole),
        worst=min(zip(ran[0].targets, by_skill, strict=True), key=lambda pair: pair[1].value) if by_skill else None,
        transfer=_transfer(whole),
        suites=_suites(whole),
        auc=mean([st.area_under_curve(row.steps, purse) for row in whole]) if whole else None,
        target=st.to_target(ran, {row.seed: row for row in board if row.teacher == BASELINE}),
        forgetting=mean([st.forgetting(row.steps, row.selected) for row in whole]) if whole else None,
        budget=_mean_budget(ran),
        cost=cost_of(ran, compare(name, UNTAUGHT, scored)),
        grader_errors=sum(row.test.grader_errors for row in rows if row.test is not None),
        metrics=tuple(mean_of(metric, whole) for metric in metrics),
    )


def _lenient(rows: Sequence[Row]) -> Accuracy | None:
    """Test counts where only the form is forgiven, over runs, in the points of the score; ``None`` unless all say."""
    said = [found for row in rows if row.test is not None and (found := row.test.forgiven) is not None]
    if not said or len(said) < len(rows):
        return None
    return _sum([Accuracy(k=k, n=n, split="test") for k, n in said])


def _transfer(rows: Sequence[Row]) -> Accuracy | None:
    """Transfer counts over runs; ``None`` unless every run has them, or the mean would be over other seeds."""
    exams = [row.transfer for row in rows if row.transfer is not None and row.transfer.n]
    if not exams or len(exams) < len(rows):
        return None
    return _sum([Accuracy(k=k, n=n, split="transfer") for k, n in (exam.count for exam in exams)])


def _suites(rows: Sequence[Row]) -> dict[str, Accuracy]:
    """Counts of each named part of the test exam, then of each transfer suite; none that not every run has."""
    parts = _named([row.test.by_part if row.test else {} for row in rows], "test")
    return parts | _named([row.transfer.by_suite if row.transfer else {} for row in rows], "transfer")


def _named(told: Sequence[Mapping[str, tuple[int, int]]], split: Split) -> dict[str, Accuracy]:
    """Counts over runs, by name; empty unless every run has the same names."""
    if not told or any(list(one) != list(told[0]) for one in told):
        return {}
    return {name: _sum([Accuracy(k=one[name][0], n=one[name][1], split=split) for one in told]) for name in told[0]}


def _compare_all(standings: Sequence[Standing], scored: Mapping[str, Mapping[int, Row]]) -> list[Standing]:
    """Every standing with its comparison to the baseline, p corrected over the teachers alone, and the verdict."""
    raw = {
        s.teacher: compare(s.teacher, BASELINE, scored)
        for s in standings
        if s.teacher != BASELINE and BASELINE in scored and s.teacher in scored and not s.unscored
    }
    roles = {s.teacher: s.role for s in standings}
    raw |= in_family({name: c for name, c in raw.items() if roles[name] == "teacher"})
    return [
        s.model_copy(update={"comparison": raw.get(s.teacher), "verdict": _verdict(s, raw.get(s.teacher))})
        for s in standings
    ]


def _verdict(standing: Standing, comparison: Comparison | None) -> Verdict:
    if standing.teacher == BASELINE:
        return "baseline"
    if standing.role == "reference" or comparison is None:
        return "not compared"
    if comparison.p_adjusted is None or comparison.gain is None or comparison.p_adjusted >= st.ALPHA:
        return "cannot tell"
    return "better" if comparison.gain.value > 0 else "worse"


# --- sentences -------------------------------------------------------------------------------------------------------


def interval(comparison: Comparison) -> str:
    """``+3.1 points (95 % interval +1.0 to +5.2)``, or what there is of it."""
    if comparison.gain is None:
        return "not measured (no common seeds)"
    gain = f"{signed(comparison.gain)} points"
    if comparison.low is None or comparison.high is None:
        return f"{gain} (one seed, no interval)"
    reach = f"{signed(comparison.low)} to {signed(comparison.high)}"
    return f"{gain} (95 % interval {reach}, {len(comparison.seeds)} seeds)"


VERDICTS = ("better", "worse", "cannot tell", "not compared")


def _names(standings: Sequence[Standing]) -> str:
    return listed([s.teacher for s in standings])


def _reading(
    teachers: Sequence[Standing], visible: Sequence[Derived], primary: str, pairs: Sequence[Comparison]
) -> list[str]:
    if not any(s.teacher == BASELINE for s in teachers):
        return [f"No runs of {BASELINE} are here, so nothing can be said of any teacher's gain."]
    groups = {verdict: [s for s in teachers if s.verdict == verdict] for verdict in VERDICTS}
    seeds = max(len(s.seeds) for s in teachers)
    parts = []
    if groups["better"]:
        parts.append(f"{_names(groups['better'])} did better than {BASELINE}")
    elif len(teachers) > 1:
        parts.append(f"no teacher did better than {BASELINE}")
    if groups["worse"]:
        parts.append(f"{_names(groups['worse'])} did worse")
    if groups["cannot tell"]:
        parts.append(f"{_names(groups['cannot tell'])} cannot be told apart from it")
    if groups["not compared"]:
        parts.append(f"{_names(groups['not compared'])} could not be compared")
    if seeds >= st.FEWEST and pairs:
        parts.append(told_apart(pairs))
    over = f"Over {seeds} {'seed' if seeds == 1 else 'seeds'}, by {OUTCOMES[primary]}"
    sentences = [f"{over}: {'; '.join(parts)}."] if parts else []
    if visible:
        low, middle, high = (percent(derive(of, visible)) for of in (np.min, np.median, np.max))
        spread = "" if low == high else f" (median over teachers; {low} to {high})"
        sentences.append(f"The smallest gain that could have been seen is {middle} points{spread}.")
    return sentences


def _seen(sensitivity: Sequence[Comparison], scored: Mapping[str, Any]) -> list[str]:
    said = []
    for c in sensitivity:
        blind = c.low is None or c.low.value <= 0
        above = ", clearly above zero: teaching teaches here." if c.baseline == UNTAUGHT else "."
        said.append(
            f"Sensitivity: {c.teacher} − {c.baseline} is {interval(c)}"
            + (
                ", not clearly above zero, so a tie between teachers says little about the teachers."
                if blind
                else above
            )
        )
    missing = [name for name in (UNTAUGHT, STATIC) if name not in scored]
    if missing:
        what = {UNTAUGHT: "what teaching brings at all", STATIC: "what choosing what to teach can bring"}
        said.append(
            f"Not measured: {' and '.join(what[name] for name in missing)}; "
            f"this board has no runs of {' and '.join(missing)}."
        )
    return said


def _warnings(board: Sequence[Row], standings: Sequence[Standing]) -> list[str]:
    said: list[str] = []
    seeds = len({row.seed for row in board})
    if seeds < st.FEWEST:
        said.append(
            f"A demonstration, not a ranking: {seeds} {'seed' if seeds == 1 else 'seeds'}. With fewer than {st.FEWEST} "
            "no verdict is possible, for no sign-flip p is below 0.05."
        )
    if board[0].simulated:
        said.append("The student is simulated: these numbers say nothing about a real one.")
    for s in standings:
        if s.failed:
            which = ", ".join(map(str, s.failed))
            how = "scored as the untaught student" if not s.unscored else "without an untaught exam to score it by"
            said.append(f"{s.teacher} failed on {len(s.failed)} of {len(s.seeds)} seeds ({which}): counted, {how}.")
        if s.transfer is None and any(row.transfer and row.transfer.n for row in board if row.teacher == s.teacher):
            said.append(f"{s.teacher} has no transfer exam for some of its seeds, so its transfer is not shown.")
        if failures := _grader_errors(board, s):
            said.append(f"The grader failed on {failures} answers of {s.teacher}; they count as not right.")
    said += _unasked(board)
    if len({s.seeds for s in standings if s.role == "teacher"}) > 1:
        said.append("Teachers ran on different seeds; each is compared on the seeds it shares with the baseline.")
    said += untaught_sentences(board)
    if any(row.dirty for row in board):
        said.append("Some runs were made from a working tree with uncommitted changes.")
    if len({row.commit for row in board}) > 1:
        said.append("Runs of several commits stand together here.")
    return said


def _unasked(board: Sequence[Row]) -> list[str]:
    """Problems that no student was asked; they are the same in every run, for the student is."""
    exams = {
        "test": [(row.test.unasked, sum(row.test.n)) for row in board if row.test is not None],
        "transfer": [(row.transfer.unasked, row.transfer.n) for row in board if row.transfer is not None],
    }
    most = {split: max(counted, default=(0, 0)) for split, counted in exams.items()}
    return [
        f"{k} of {n} {split} problems were not asked: longer than the student's context, or with its own marks. "
        "They count as not right."
        for split, (k, n) in most.items()
        if k
    ]


def _grader_errors(board: Sequence[Row], standing: Standing) -> str:
    """On how many answers the checker failed, by exam; empty where it never did."""
    rows = [row for row in board if row.teacher == standing.teacher]
    counts = {
        "test": standing.grader_errors,
        "transfer": sum(row.transfer.grader_errors for row in rows if row.transfer is not None),
        "feedback and selection": sum(step.grader_errors for row in rows for step in row.steps),
    }
    return ", ".join(f"{n:,} {exam}" for exam, n in counts.items() if n)


def _sources(board: Sequence[Row], standings: Sequence[Standing]) -> list[str]:
    """Which split each number of the table was counted on, as the numbers themselves say, and its items a student."""
    held = _attempts(board)
    how = f", {held.name}" if held.name else ""
    exams = {"test": [sum(row.test.n) for row in board if row.test is not None],
             "selection": [sum(row.steps[0].selection.n) // held.out_of for row in board if row.steps],
             "transfer": [row.transfer.n for row in board if row.transfer is not None]}  # fmt: skip
    named: dict[str, list[Counted | None]] = {
        "area %": [s.outcome for s in standings] if primary_of(board) == "area" else [],
        "test %": [s.score for s in standings],
        "gain": [s.comparison.gain for s in standings if s.comparison],
        "a point": [s.cost.learnt for s in standings if s.cost],
        "worst skill": [s.worst[1] for s in standings if s.worst],
        "AUC": [s.auc for s in standings],
        "forgotten": [s.forgetting for s in standings],
        "to target": [s.target.runs[0].target for s in standings if s.target],
        "transfer %": [s.transfer for s in standings],
    }
    by_split: dict[str, list[str]] = {}
    for name, counted in named.items():
        for split in sorted({figure.split for figure in counted if figure is not None}):
            by_split.setdefault(split, []).append(name)
    targets = board[0].targets
    alone = [f"Selection and test ask the Setting's targets alone: {', '.join(targets)}."]
    return (alone if targets != board[0].skills else []) + [
        f"Counted on the {split} split ({max(exams[split]):,} items a student{how}): {', '.join(names)}."
        for split, names in by_split.items()
    ]


def cost_of(rows: Sequence[Row], over_untaught: Comparison) -> TeacherCost | None:
    """The cost of one teacher; ``None`` where it spent nothing on language models.

    Args:
        rows: Its runs.
        over_untaught: It minus the untaught student.
    """
    counted = [row.budget for row in rows if row.seed in over_untaught.seeds] or [row.budget for row in rows]
    if not any(spent.teacher_tokens or spent.money for spent in counted):
        return None
    return TeacherCost(
        tokens=float(np.mean([spent.teacher_tokens for spent in counted])),
        money=float(np.mean([spent.money for spent in counted])),
        learnt=over_untaught.gain,
        low=over_untaught.low,
        high=over_untaught.high,
    )
