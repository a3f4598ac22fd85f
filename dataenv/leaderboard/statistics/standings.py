"""The results of a board as records: comparisons, standings, costs, and the summary that holds them."""

from __future__ import annotations

import math
from operator import not_
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from dataenv.leaderboard.accuracy import Accuracy, Derived, number
from dataenv.leaderboard.statistics.profiles import ProfileReport
from tasks.records import Record, absent

Verdict = Literal["baseline", "better", "worse", "cannot tell", "not compared"]


class Comparison(Record):
    """One teacher minus another in the primary outcome on the test split, paired by seed and item.

    Attributes:
        seeds: Seeds in the pairs; ``differences`` is in their order.
        won: Items (over all seeds) on which the teacher's students did better; ``lost`` the other's; of ``items``.
        gain: Mean of the differences.
        low: Lower end of the 95 % interval of the gain (``high`` the upper), not corrected for several teachers: the
            wider of two, at each end. ``seeds_low`` is of the paired t over seeds, with the items as they are;
            ``items_low`` is of seeds and items crossed, ``None`` where no skill has two items.
        p: Two-sided, of this pair alone: the largest of ``p_seeds`` (paired t), ``p_items`` (crossed) and ``p_flips``
            (sign flips).
        p_holm: The larger of ``p_seeds`` and ``p_items`` after Holm over the board's teachers; ``None`` outside.
        p_adjusted: What counts: the larger of ``p_holm`` and the p of the joint sign flips of the board's teachers.
        visible: Smallest gain that could have been seen, of the wider interval; see ``paired_t``.
        notes: What a reader must know (few seeds, failed baseline), one sentence each.
    """

    teacher: str
    baseline: str
    seeds: tuple[int, ...]
    differences: tuple[Derived, ...]
    won: int
    lost: int
    items: int
    gain: Derived | None = None
    sd: Derived | None = None
    low: Derived | None = None
    high: Derived | None = None
    seeds_low: Derived | None = None
    seeds_high: Derived | None = None
    items_low: Derived | None = None
    items_high: Derived | None = None
    p: float | None
    p_seeds: float | None = None
    p_items: float | None = None
    p_flips: float | None = None
    p_holm: float | None = None
    p_adjusted: float | None = None
    visible: Derived | None = None
    notes: tuple[str, ...] = ()


class Reach(Record):
    """When one run reached its target.

    Attributes:
        target: Selection accuracy of the baseline's selected state, same seed.
        tokens: Student tokens spent when an exam first found the student there; ``None``: never.
        examples: Examples taught until then; ``None``: never.
    """

    seed: int
    target: Derived
    tokens: int | None
    examples: int | None


class Target(Record):
    """Samples to target over seeds. A run that never got there counts as infinite and is not left out."""

    runs: tuple[Reach, ...]

    @property
    def reached(self) -> int:
        """Runs that got there, of ``len(runs)``."""
        return sum(run.tokens is not None for run in self.runs)

    @property
    def tokens(self) -> float:
        """Median student tokens; infinite where at least half of the runs never got there."""
        return float(np.median([math.inf if run.tokens is None else run.tokens for run in self.runs]))

    @property
    def examples(self) -> float:
        """Median examples; infinite where at least half of the runs never got there."""
        return float(np.median([math.inf if run.examples is None else run.examples for run in self.runs]))


class Axis(Record):
    """What a board says of a metric that it names; see ``dataenv.leaderboard.statistics.metrics.Metric``."""

    name: str
    unit: str
    higher_is_better: bool | None
    split: str
    sentence: str

    @property
    def reading(self) -> str:
        """What it is and which end is good, as one line."""
        better = {True: "higher is better", False: "lower is better", None: ""}[self.higher_is_better]
        told = "; ".join(part for part in (better, f"{self.split} split" if self.split else "") if part)
        return f"{self.name}, {self.unit}: {self.sentence}" + (f" ({told})." if told else ".")


class AxisMean(Record):
    """A metric over the runs of one teacher, in the metric's unit.

    Attributes:
        name: Of the metric.
        told: Runs that it could be told of; where not all, there is no mean.
        mean: Over seeds.
        low: Lower end of the 95 % interval of the mean over seeds (``high`` the upper); ``None`` for one seed.
    """

    name: str
    told: int
    mean: float | None
    low: float | None
    high: float | None


class Standing(Record):
    """One teacher over its seeds. Shares are counts over all seeds; failed seeds count as their untaught student.

    Attributes:
        outcome: The board's primary outcome, mean over seeds: what teachers are ranked by.
        outcomes: Before that mean, in the order of the seeds that have one.
        score: Macro mean over skills of test accuracy, then mean over seeds; ``by_seed`` before that mean.
        iqm: Interquartile mean of ``by_seed``: a quarter of the seeds (rounded down) is cut off at each end.
        auc: Mean over seeds of the area under the selection curve, see ``area_under_curve``.
        lenient: Test answers that are right if only their form is forgiven; ``None`` where the task does not say.
        worst: The skill with the lowest test accuracy, and that accuracy.
        target: Samples to target, see ``to_target``; ``None`` where there is no baseline to set one.
        forgetting: Mean over seeds of ``forgetting``.
        budget: Means over seeds: total, spent, training, probes, examples, prior, teacher_tokens, money.
        cost: What its language models cost, for a point too; ``None`` where it asked none.
        expected: Runs that the board's file asks for; those that ended and did not fail are ``completed``.
        replayed: Rows that changed when their run was played again.
        unscored: Failed seeds for which no untaught exam exists. While there are any, the teacher has no score and no
            other figure over seeds (they would be over the seeds that went well), and nothing is compared.
        metrics: The metrics that the board names, in its order.
        suites: By name, the parts of the test exam that have one, and the transfer suites, where there are several.
        decision: What the last look says, where seeds are added until teachers are decided; else empty.
    """

    teacher: str
    role: Literal["teacher", "reference"]
    level: str
    seeds: tuple[int, ...]
    failed: tuple[int, ...]
    expected: int | None = None
    replayed: int = 0
    unscored: tuple[int, ...]
    ended: dict[str, int]
    outcome: Derived | None
    outcomes: tuple[Derived, ...]
    score: Derived | None
    by_seed: tuple[Derived, ...]
    iqm: Derived | None
    test: Accuracy | None
    by_skill: tuple[Accuracy, ...]
    lenient: Accuracy | None = None
    worst: tuple[str, Accuracy] | None
    transfer: Accuracy | None
    auc: Derived | None
    target: Target | None
    forgetting: Derived | None
    budget: dict[str, float]
    cost: TeacherCost | None = None
    grader_errors: int
    comparison: Comparison | None = None
    verdict: Verdict = "not compared"
    metrics: tuple[AxisMean, ...] = Field(default=(), exclude_if=not_)
    suites: dict[str, Accuracy] = Field(default={}, exclude_if=not_)
    decision: str = Field(default="", exclude_if=not_)

    @property
    def completed(self) -> int:
        """Runs that ended and did not fail."""
        return len(self.seeds) - len(self.failed)

    @property
    def runs(self) -> str:
        """``5 of 6 runs``: those that ended and did not fail, of those that the board has."""
        many = self.expected or len(self.seeds)
        return f"{self.completed} of {many} {'run' if many == 1 else 'runs'}"


class Summary(Record):
    """A board: ranked teachers, references apart, and what the board could have seen.

    Attributes:
        skills: Those that selection and test ask: the Setting's targets, where it names some.
        primary: The primary outcome: ``final`` or ``area``; see ``statistics.outcomes``.
        teachers: Best in the primary outcome first.
        references: Not ranked; by name.
        sensitivity: Stratified minus nothing, and best static mixture minus stratified, where the runs exist.
        visible: Smallest and largest of the teachers' smallest visible gains; ``typical`` is their median.
        core_minutes: Processor minutes that the board's runs cost when they were computed; ``None`` where unknown.
        reading: Sentences on the teachers; ``seen`` on the sensitivity; ``warnings`` what weakens them.
        sources: Sentences on the split that each number was counted on.
        metrics: What the board says of the metrics that it names.
        exam: ``avg@4``, ``pass@4`` and so on, where a problem is answered several times; else empty.
        nobody_right: Whether no test answer of the board is right: then nothing is compared, and ``reading`` says why.
        attempts: Configurations that were played in this folder, where seeds are added until teachers are decided.
        among: Every pair of teachers beside the baseline, where they are not too many.
        rates: The learning rate that was chosen for each teacher and reference, where the board chooses them.
        profiles: Missing-skill profiles, where teachers made such; ``None`` without.
    """

    board: str
    simulated: bool
    setting_digest: str
    primary: Literal["final", "area"]
    skills: tuple[str, ...]
    seeds: tuple[int, ...]
    purse: int
    test_items: int
    equal_items: bool
    untaught: tuple[Accuracy, ...]
    teachers: tuple[Standing, ...]
    references: tuple[Standing, ...]
    sensitivity: tuple[Comparison, ...]
    visible: tuple[Derived, Derived] | None
    typical: Derived | None = None
    core_minutes: float | None = None
    reading: tuple[str, ...]
    seen: tuple[str, ...]
    warnings: tuple[str, ...]
    sources: tuple[str, ...]
    metrics: tuple[Axis, ...] = Field(default=(), exclude_if=not_)
    exam: str = Field(default="", exclude_if=not_)
    nobody_right: bool = Field(default=False, exclude_if=not_)
    attempts: int = Field(default=0, exclude_if=not_)
    among: tuple[Comparison, ...] = Field(default=(), exclude_if=not_)
    rates: dict[str, float] = Field(default={}, exclude_if=not_)
    profiles: ProfileReport | None = Field(default=None, exclude_if=absent)

    @property
    def price_of_resolution(self) -> float | None:
        """Median smallest visible gain in points, times the square root of the core-minutes: lower is better.

        It does not change with the number of seeds: four times as many cost four times as much and halve the gain.
        """
        if self.typical is None or self.core_minutes is None:
            return None
        return 100 * number(self.typical) * math.sqrt(self.core_minutes)


class PerPoint(NamedTuple):
    """Spent a point, and the ends of its 95 % interval; infinite where no point was learnt, or none may have been."""

    estimate: float
    low: float
    high: float


class TeacherCost(Record):
    """What was spent on language models, over the seeds on which a teacher and the untaught student have a score.

    The cost of a point is the mean spent over the mean learnt, in percentage points of test score above the untaught
    student of the same seed. Its interval is that of what was learnt, with the spending as it was.

    Attributes:
        tokens: Mean over seeds, prompts and replies together.
        money: Mean over seeds, in the currency of the chat's prices.
        learnt: Mean over seeds of the test score minus the untaught student's; ``None`` where there is none.
        low: Lower end of its 95 % interval (``high`` the upper); ``None`` for one seed.
    """

    tokens: float
    money: float
    learnt: Derived | None
    low: Derived | None
    high: Derived | None

    @property
    def tokens_per_point(self) -> PerPoint | None:
        """Teacher tokens for one percentage point."""
        return self._per_point(self.tokens)

    @property
    def money_per_point(self) -> PerPoint | None:
        """Money for one percentage point."""
        return self._per_point(self.money)

    def _per_point(self, spent: float) -> PerPoint | None:
        if self.learnt is None:
            return None
        ends = (self.learnt, self.high or self.learnt, self.low or self.learnt)
        return PerPoint(*(spent / (100 * number(x)) if number(x) > 0 else math.inf for x in ends))
