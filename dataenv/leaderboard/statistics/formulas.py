"""What a board says of its runs: scores, paired differences with intervals, and how much the board could have seen.

The unit of repetition is the *seed*: another untaught student, another data order. Teachers of one seed share the
untaught student and the test items, so a seed gives one paired difference and a paired t interval over seeds is used,
which in simulation kept its level at six seeds where a percentile bootstrap did not. Intervals therefore speak of
new seeds, with the test items as they are. Holm (1979) corrects for the number of teachers compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dataenv.environment.steps import StepRow
from dataenv.leaderboard.accuracy import Accuracy, Derived, Floats, derive, mean
from dataenv.leaderboard.config import UNTAUGHT
from dataenv.leaderboard.rows import Row, TestExam
from dataenv.leaderboard.scoring import area, on_purse
from dataenv.leaderboard.statistics.outcomes import counted
from dataenv.leaderboard.statistics.standings import Reach, Target

ALPHA, POWER = 0.05, 0.8
FEWEST = 6
"""Seeds below which a board demonstrates and does not rank."""
SAME = 1e-12
"""Differences closer than this are equal but for rounding."""


class PairedT(NamedTuple):
    """A paired t test over seeds; see ``paired_t``. In the unit of the differences."""

    gain: float | None
    sd: float | None
    low: float | None
    high: float | None
    p: float | None
    visible: float | None


# --- one run ---------------------------------------------------------------------------------------------------------


def selection(step: StepRow) -> tuple[Accuracy, ...]:
    """Selection counts by target (``Row.targets``)."""
    tally = step.selection
    return tuple(Accuracy(k=k, n=n, split="selection") for k, n in zip(tally.correct, tally.n, strict=True) if n)


def tested(test: TestExam) -> tuple[Accuracy, ...]:
    """Test counts by target (``Row.targets``)."""
    return counted(test)


def score(test: TestExam) -> Derived:
    """Macro mean over skills of test accuracy, in [0, 1]; k/n where every skill has as many items."""
    return mean(tested(test))


def by_step(steps: Sequence[StepRow]) -> list[Derived]:
    """Macro selection accuracy after each step, the untaught student first."""
    return [mean(selection(step)) for step in steps]


def curve(steps: Sequence[StepRow], purse: int, accuracies: Floats | None = None) -> tuple[Floats, Floats]:
    """The selection learning curve on the common purse, as numbers to draw and to integrate.

    Args:
        steps: At least the untaught student.
        purse: Student tokens that the axis ends at.
        accuracies: After each step; those of ``by_step`` if not given.

    Returns:
        See ``scoring.on_purse``.
    """
    values = np.array([figure.value for figure in by_step(steps)]) if accuracies is None else accuracies
    return on_purse([step.spent for step in steps], values, purse)


def area_under_curve(steps: Sequence[StepRow], purse: int) -> Derived:
    """Area under ``curve`` by trapezoids: mean selection accuracy over the purse, in [0, 1]."""
    spent = [step.spent for step in steps]
    return derive(lambda accuracies: area(spent, accuracies, purse), by_step(steps))


def ends_of_curve(steps: Sequence[StepRow], purse: int) -> tuple[Derived, Derived]:
    """First and last accuracy of ``curve``."""
    after = by_step(steps)
    return after[0], derive(lambda accuracies: curve(steps, purse, accuracies)[1][-1], after)


def forgetting(steps: Sequence[StepRow], selected: int) -> Derived:
    """Largest fall of any skill's selection accuracy from its best so far to the selected state, in [0, 1]."""
    until = [selection(step) for step in steps[: selected + 1]]

    def largest_fall(values: Floats) -> Any:
        by_step = values.reshape(len(until), -1)
        return (by_step.max(axis=0) - by_step[-1]).max()

    return derive(largest_fall, [share for shares in until for share in shares])


def interquartile_mean(values: Sequence[Derived]) -> Derived:
    """Mean of the middle: a quarter of the values, rounded down, is cut off at each end."""
    cut = len(values) // 4
    return derive(lambda v: np.sort(v)[cut : len(v) - cut].mean(), values)


def untaught_rows(rows: Sequence[Row]) -> dict[int, Row]:
    """By seed, a run whose selected state is the untaught student and whose exams were held: ``nothing`` first."""
    found: dict[int, Row] = {}
    for row in sorted(rows, key=lambda row: (row.teacher != UNTAUGHT, row.teacher)):
        if row.selected == 0 and row.test is not None and row.steps:
            found.setdefault(row.seed, row)
    return found


def scored_rows(rows: Sequence[Row]) -> dict[str, dict[int, Row]]:
    """Rows by teacher and seed with failed runs scored as the untaught student of their seed.

    A failed run keeps its budget; its steps and exams become those of the untaught student, taken from a run of the
    same seed whose selected state is the untaught one (``nothing``, as a rule). Where there is none it is left out
    here, and ``Standing.unscored`` names it.
    """
    untaught = untaught_rows(rows)
    scored: dict[str, dict[int, Row]] = {row.teacher: {} for row in rows}
    for row in rows:
        if not row.failed:
            scored[row.teacher][row.seed] = row
        elif row.seed in untaught:
            as_ = untaught[row.seed]
            exams = {"steps": as_.steps[:1], "selected": 0, "test": as_.test, "transfer": as_.transfer}
            if as_.curve is not None:
                exams["curve"] = as_.curve.model_copy(update={"points": as_.curve.points[:1]})
            scored[row.teacher][row.seed] = row.model_copy(update=exams)
    return scored


def to_target(ran: Sequence[Row], baseline: Mapping[int, Row]) -> Target | None:
    """What each run of a teacher needed to be as good as ``stratified`` at its best, on the selection split.

    The target of a seed is the macro selection accuracy of the baseline's selected state. A run is there at the first
    step, the untaught student included, whose accuracy is at least that; nothing is interpolated between steps. A
    failed run never gets there. Seeds on which the baseline failed, did not run, or got nothing right have no target.

    Args:
        ran: Rows of one teacher as they are, failed ones too.
        baseline: Rows of the baseline by seed.

    Returns:
        ``None`` where no seed has a target.
    """
    runs = []
    for row in sorted(ran, key=lambda row: row.seed):
        theirs = baseline.get(row.seed)
        if theirs is None or theirs.failed:
            continue
        target = by_step(theirs.steps)[theirs.selected]
        if not target.value:  # nobody needs anything to be as good as nothing
            continue
        after = [] if row.failed else by_step(row.steps)
        there = next((i for i, accuracy in enumerate(after) if accuracy.value >= target.value - SAME), None)
        tokens = None if there is None else row.steps[there].spent
        taught = None if there is None else sum(s.kept for s in row.steps[: there + 1] if s.lesson is not None)
        runs.append(Reach(seed=row.seed, target=target, tokens=tokens, examples=taught))
    return Target(runs=tuple(runs)) if runs else None


# --- over seeds ------------------------------------------------------------------------------------------------------


def paired_t(differences: Sequence[float]) -> PairedT:
    """Paired t over seeds: 95 % interval, two-sided p, and the smallest gain that could have been seen.

    ``visible`` = (t_.975 + t_.8) · sd / √n with n − 1 degrees of freedom: a true gain of that size would have had an
    interval clear of zero in about four boards of five (two-sided α = .05, power .8, no correction for several
    teachers, and the sd of these seeds taken as the true one).

    Fewer than two seeds give no interval. Where all seeds differ by the same amount the t statistic has no
    denominator: the interval has no width, and p is that of the sign-flip test, 2 / 2ⁿ (1 if the amount is zero).
    Nothing then tells how small a gain could have been seen, and ``visible`` is ``None``.
    """
    n = len(differences)
    if n == 0:
        return PairedT(None, None, None, None, None, None)
    values = np.asarray(differences, dtype=np.float64)
    gain = float(values.mean())
    if n == 1:
        return PairedT(gain, None, None, None, None, None)
    if np.ptp(values) < SAME:  # equal but for rounding
        return PairedT(gain, 0.0, gain, gain, 1.0 if abs(gain) < SAME else 2.0 ** (1 - n), None)
    from scipy.special import stdtr, stdtrit  # cdf and quantile of Student's t, without the weight of scipy.stats

    sd = float(values.std(ddof=1))
    error = sd / math.sqrt(n)
    reach = float(stdtrit(n - 1, 1 - ALPHA / 2))
    p = float(2 * stdtr(n - 1, -abs(gain) / error))
    visible = (reach + float(stdtrit(n - 1, POWER))) * error
    return PairedT(gain, sd, gain - reach * error, gain + reach * error, p, visible)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p: the i-th smallest of m (from 0) times m − i, made monotone and at most 1."""
    adjusted, floor = {}, 0.0
    for i, name in enumerate(sorted(p, key=lambda name: (p[name], name))):
        floor = max(floor, min(1.0, (len(p) - i) * p[name]))
        adjusted[name] = floor
    return adjusted
