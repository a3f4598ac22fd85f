"""The metrics that ship, and what a metric comes to over the runs of a teacher. See ``dataenv.leaderboard.metric``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.leaderboard.accuracy import number
from dataenv.leaderboard.metric import PERCENT, Metric, metric_of
from dataenv.leaderboard.rows import Row, TestExam, TransferExam
from dataenv.leaderboard.statistics import formulas as st
from dataenv.leaderboard.statistics.standings import Axis, AxisMean
from tasks.tools.checking import GIVEN, WANTED, score_of_counts


def axis_of(name: str) -> Axis:
    """What a board says of a metric."""
    metric = metric_of(name)
    said = registry.sentence("metric", name)
    return Axis(
        name=name, unit=metric.unit, higher_is_better=metric.higher_is_better, split=metric.split, sentence=said
    )


def mean_of(name: str, rows: Sequence[Row]) -> AxisMean:
    """The mean of a metric over the runs of one teacher, and its 95 % interval over seeds.

    Args:
        name: Of the metric.
        rows: Every run; where one cannot tell, there is no mean, for it would be over other seeds.
    """
    metric = metric_of(name)
    values = [_value(name, metric, row) for row in rows]
    told = [value for value in values if value is not None]
    if not told or len(told) < len(values):
        return AxisMean(name=name, told=len(told), mean=None, low=None, high=None)
    over = st.paired_t(told)
    return AxisMean(name=name, told=len(told), mean=over.gain, low=over.low, high=over.high)


def _value(name: str, metric: Metric, row: Row) -> float | None:
    """What a metric says of one row."""
    where = f"metric {name!r} of {row.teacher} seed {row.seed}"
    try:
        value = metric.of(row)
    except Exception as error:  # whatever somebody's code does with a row: said, with its cause
        raise SettingError(f"{where} fails ({type(error).__name__}: {error}); mend its of()") from error
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingError(f"{where} is {value!r:.60}; give a finite number, or None where it cannot be told")
    if metric.unit == PERCENT and not -1 <= value <= 1:
        raise SettingError(f"{where} is {value}; give a share in [0, 1], or another unit than '%'")
    return float(value)


class TransferAccuracy(Metric):
    """Right answers on the transfer split (out of distribution), of all its items."""

    unit, split = PERCENT, "transfer"

    def of(self, row: Row) -> float | None:
        """See Metric."""
        exam = row.transfer
        return exam.count[0] / exam.count[1] if exam is not None and exam.n else None


class WorstSkill(Metric):
    """Right answers on the test split in the skill where each run is worst."""

    unit, split = PERCENT, "test"

    def of(self, row: Row) -> float | None:
        """See Metric."""
        return None if row.test is None else min(map(number, st.tested(row.test)))


class Forgotten(Metric):
    """Largest fall of any skill's selection accuracy from its best so far to the selected student."""

    unit, split, higher_is_better = PERCENT, "selection", False

    def of(self, row: Row) -> float | None:
        """See Metric."""
        return number(st.forgetting(row.steps, row.selected)) if row.steps else None


class CallF1(Metric):
    """F1 of the tool calls in the answers to the test split: harmonic mean of precision and recall of calls."""

    unit, split = PERCENT, "test"

    def of(self, row: Row) -> float | None:
        """See Metric. Only a task that counts wanted and given calls has it."""
        return _call_f1(row.test)


class TransferCallF1(Metric):
    """F1 of the tool calls in the answers to the transfer split: harmonic mean of precision and recall of calls."""

    unit, split = PERCENT, "transfer"

    def of(self, row: Row) -> float | None:
        """See Metric. Only a task that counts wanted and given calls has it."""
        return _call_f1(row.transfer)


def _call_f1(exam: TestExam | TransferExam | None) -> float | None:
    if exam is None or not {WANTED, GIVEN} <= exam.part_counts.keys():
        return None
    return score_of_counts(exam.part_counts).f1


class KeptShare(Metric):
    """Examples that the screen let pass, of those that the lessons offered."""

    unit = PERCENT

    def of(self, row: Row) -> float | None:
        """See Metric."""
        offered = sum(step.offered for step in row.steps)
        return sum(step.kept for step in row.steps) / offered if offered else None


class TeacherTokens(Metric):
    """Tokens that the teacher spent on language models, prompts and replies together."""

    unit, higher_is_better = "tokens", False

    def of(self, row: Row) -> float | None:
        """See Metric."""
        return float(row.budget.teacher_tokens)
