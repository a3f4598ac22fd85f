"""What a board says of its runs: scores, paired differences with intervals, and how much the board could have seen.

The unit of repetition is the *seed*: another untaught student, another data order. Teachers of one seed share the
untaught student and the test items, so a seed gives one paired difference and a paired t interval over seeds is used,
which in simulation kept its level at six seeds where a percentile bootstrap did not. Intervals therefore speak of
new seeds, with the test items as they are. Holm (1979) corrects for the number of teachers compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dataenv.leaderboard.rows import Row, StepRow, TestExam
from tasks.records import Record

Floats = npt.NDArray[np.float64]
Verdict = Literal["baseline", "better", "worse", "cannot tell", "not compared"]

BASELINE, UNTAUGHT, STATIC = "stratified", "nothing", "static-best"
"""Names of the teachers that a board's comparisons rest on."""
ALPHA, POWER = 0.05, 0.8
SAME = 1e-12
"""Differences closer than this are equal but for rounding."""


class Share(Record):
    """``k`` of ``n`` items of a named split."""

    k: int
    n: int

    @property
    def value(self) -> float:
        """k/n, in [0, 1]."""
        return self.k / self.n


class PairedT(NamedTuple):
    """A paired t test over seeds; see ``paired_t``. Differences are shares, in [-1, 1]."""

    gain: float | None
    sd: float | None
    low: float | None
    high: float | None
    p: float | None
    visible: float | None


class Comparison(Record):
    """One teacher minus another, paired by seed and item, in shares of the test split.

    Attributes:
        seeds: Seeds in the pairs; ``differences`` is in their order.
        won: Items (over all seeds) that only the teacher's students got right; ``lost`` only the other's; of ``items``.
        gain: Mean of the differences.
        low: Lower end of the 95 % interval of the gain (``high`` the upper), not corrected for several teachers.
        p: Two-sided; ``p_holm`` after Holm over the board's teachers, ``None`` outside the family.
        visible: Smallest gain that could have been seen, see ``paired_t``.
        notes: What a reader must know (few seeds, failed baseline), one sentence each.
    """

    teacher: str
    baseline: str
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    won: int
    lost: int
    items: int
    gain: float | None
    sd: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None = None
    visible: float | None
    notes: tuple[str, ...] = ()


class Standing(Record):
    """One teacher over its seeds. Shares are counts over all seeds; failed seeds count as their untaught student.

    Attributes:
        score: Macro mean over skills of test accuracy, then mean over seeds; ``by_seed`` before that mean.
        iqm: Interquartile mean of ``by_seed``: a quarter of the seeds (rounded down) is cut off at each end.
        auc: Mean over seeds of the area under the selection curve, see ``area_under_curve``.
        worst: The skill with the lowest test accuracy, and that accuracy.
        forgetting: Mean over seeds of ``forgetting``.
        budget: Means over seeds: total, spent, training, probes, examples, prior.
        unscored: Failed seeds for which no untaught exam exists; while there are any, nothing is compared.
    """

    teacher: str
    role: Literal["teacher", "reference"]
    level: str
    seeds: tuple[int, ...]
    failed: tuple[int, ...]
    unscored: tuple[int, ...]
    ended: dict[str, int]
    score: float | None
    by_seed: tuple[float, ...]
    iqm: float | None
    test: Share | None
    by_skill: tuple[Share, ...]
    worst: tuple[str, Share] | None
    transfer: Share | None
    auc: float | None
    forgetting: float | None
    budget: dict[str, float]
    grader_errors: int
    comparison: Comparison | None = None
    verdict: Verdict = "not compared"


class Summary(Record):
    """A board: ranked teachers, references apart, and what the board could have seen.

    Attributes:
        teachers: Best score first.
        references: Not ranked; by name.
        sensitivity: Stratified minus nothing, and best static mixture minus stratified, where the runs exist.
        visible: Smallest and largest of the teachers' smallest visible gains.
        reading: Sentences on the teachers; ``seen`` on the sensitivity; ``warnings`` what weakens them.
    """

    board: str
    simulated: bool
    setting_digest: str
    skills: tuple[str, ...]
    seeds: tuple[int, ...]
    purse: int
    test_items: int
    equal_items: bool
    untaught: tuple[Share, ...]
    teachers: tuple[Standing, ...]
    references: tuple[Standing, ...]
    sensitivity: tuple[Comparison, ...]
    visible: tuple[float, float] | None
    reading: tuple[str, ...]
    seen: tuple[str, ...]
    warnings: tuple[str, ...]


# --- one run ---------------------------------------------------------------------------------------------------------


def accuracies(step: StepRow) -> Floats:
    """Selection accuracy by skill, ``(k,)``, in [0, 1]."""
    return np.asarray(step.selection.correct, dtype=np.float64) / np.asarray(step.selection.n, dtype=np.float64)


def score(test: TestExam) -> float:
    """Macro mean over skills of test accuracy, in [0, 1]; k/n where every skill has as many items."""
    return float(np.mean(np.asarray(test.by_skill) / np.asarray(test.n)))


def curve(steps: Sequence[StepRow], purse: int) -> tuple[Floats, Floats]:
    """The selection learning curve on the common purse.

    Args:
        steps: At least the untaught student.
        purse: Student tokens that the axis ends at.

    Returns:
        Spent share of the purse, rising from 0 to 1, and macro selection accuracy. The last accuracy is carried
        forward to the full purse; what was spent beyond it is cut off (linear in between).
    """
    x = np.array([step.spent for step in steps], dtype=np.float64) / max(purse, 1)
    y = np.array([accuracies(step).mean() for step in steps])
    if x[0] > 0:  # probes before the first lesson: the student was the untaught one all along
        x, y = np.insert(x, 0, 0.0), np.insert(y, 0, y[0])
    end = float(np.interp(1.0, x, y))
    inside = x < 1
    return np.append(x[inside], 1.0), np.append(y[inside], end)


def area_under_curve(steps: Sequence[StepRow], purse: int) -> float:
    """Area under ``curve`` by trapezoids: mean selection accuracy over the purse, in [0, 1]."""
    x, y = curve(steps, purse)
    return float(np.trapezoid(y, x))


def forgetting(steps: Sequence[StepRow], selected: int) -> float:
    """Largest fall of any skill's selection accuracy from its best so far to the selected state, in [0, 1]."""
    until = np.stack([accuracies(step) for step in steps[: selected + 1]])
    return float((until.max(axis=0) - until[-1]).max())


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle: a quarter of the values, rounded down, is cut off at each end."""
    from scipy.stats import trim_mean

    return float(trim_mean(np.asarray(values, dtype=np.float64), 0.25))


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
            scored[row.teacher][row.seed] = row.model_copy(update=exams)
    return scored


# --- over seeds ------------------------------------------------------------------------------------------------------


def paired_t(differences: Sequence[float]) -> PairedT:
    """Paired t over seeds: 95 % interval, two-sided p, and the smallest gain that could have been seen.

    ``visible`` = (t_.975 + t_.8) · sd / √n with n − 1 degrees of freedom: a true gain of that size would have had an
    interval clear of zero in about four boards of five (two-sided α = .05, power .8, no correction for several
    teachers, and the sd of these seeds taken as the true one).

    Fewer than two seeds give no interval. Where all seeds differ by the same amount the t statistic has no
    denominator: the interval has no width, and p is that of the sign-flip test, 2 / 2ⁿ (1 if the amount is zero).
    """
    n = len(differences)
    if n == 0:
        return PairedT(None, None, None, None, None, None)
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    if n == 1:
        return PairedT(mean, None, None, None, None, None)
    if np.ptp(values) < SAME:  # equal but for rounding
        return PairedT(mean, 0.0, mean, mean, 1.0 if abs(mean) < SAME else 2.0 ** (1 - n), 0.0)
    from scipy.stats import t

    sd = float(values.std(ddof=1))
    error = sd / math.sqrt(n)
    reach = float(t.ppf(1 - ALPHA / 2, n - 1))
    p = float(2 * t.sf(abs(mean) / error, n - 1))
    visible = (reach + float(t.ppf(POWER, n - 1))) * error
    return PairedT(mean, sd, mean - reach * error, mean + reach * error, p, visible)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p: the i-th smallest of m (from 0) times m − i, made monotone and at most 1."""
    adjusted, floor = {}, 0.0
    for i, name in enumerate(sorted(p, key=lambda name: (p[name], name))):
        floor = max(floor, min(1.0, (len(p) - i) * p[name]))
        adjusted[name] = floor
    return adjusted


def _item_weights(n: Sequence[int]) -> Floats:
    """Weight of each test item so that every skill counts the same; sums to 1, and is 1/N where all n are equal."""
    return np.repeat(1.0 / (len(n) * np.asarray(n, dtype=np.float64)), n)


def _bits(correct: str) -> npt.NDArray[np.int8]:
    return np.frombuffer(correct.encode("ascii"), dtype=np.uint8).astype(np.int8) - np.int8(ord("0"))


def compare(teacher: str, baseline: str, scored: Mapping[str, Mapping[int, Row]]) -> Comparison:
    """``teacher`` − ``baseline``: per seed the mean over items of the difference, each skill counting the same.

    Seeds that one of them lacks are left out, and so are seeds where the *baseline* failed: scoring those as untaught
    would flatter everyone else. A teacher's own failures stay in.

    Args:
        teacher: Name; may have no rows.
        baseline: Name; may have no rows.
        scored: From ``scored_rows``.
    """
    ours, theirs = scored.get(teacher, {}), scored.get(baseline, {})
    seeds = tuple(seed for seed in sorted(ours) if seed in theirs and not theirs[seed].failed)
    differences, won, lost, items = [], 0, 0, 0
    for seed in seeds:
        a, b = ours[seed].test, theirs[seed].test
        if a is None or b is None:  # the type allows it, scored rows do not
            raise ValueError(f"a run of {teacher} or {baseline}, seed {seed}, has no test exam; score it first")
        difference = _bits(a.correct) - _bits(b.correct)
        differences.append(float(difference @ _item_weights(a.n)))
        won += int((difference > 0).sum())
        lost += int((difference < 0).sum())
        items += len(difference)
    return Comparison(
        teacher=teacher,
        baseline=baseline,
        seeds=seeds,
        differences=tuple(differences),
        won=won,
        lost=lost,
        items=items,
        notes=_notes(ours, theirs, differences, baseline),
        **paired_t(differences)._asdict(),
    )


def _notes(
    ours: Mapping[int, Row], theirs: Mapping[int, Row], differences: Sequence[float], baseline: str
) -> tuple[str, ...]:
    notes, n = [], len(differences)
    broken = [seed for seed, row in theirs.items() if row.failed]
    if broken:
        notes.append(f"{baseline} failed on seed {', '.join(map(str, broken))}, left out of the pairs")
    if n < max(len(ours), len(theirs) - len(broken)):
        notes.append(f"paired on the {n} seeds that both have")
    if n < 2:
        notes.append("fewer than two common seeds: no interval")
    elif np.ptp(differences) < SAME:
        notes.append("every seed gave the same difference: p by sign flips")
    return tuple(notes)
