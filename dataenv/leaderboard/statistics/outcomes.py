"""The primary outcome of a run, on the test split: what a board ranks by and what its verdicts are of.

``final``: accuracy of the selected student. ``area``: area under the learning curve over the purse, by trapezoids
between the students whose test exams were opened. No teacher is rewarded on either.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataenv.leaderboard.accuracy import Accuracy, Derived, Floats, derive, difference, mean
from dataenv.leaderboard.rows import Row, TestExam

OUTCOMES = {
    "final": "test accuracy of the selected student",
    "area": "area under the learning curve on the test split",
}
"""Primary outcomes, in words."""


def on_purse(spent: Sequence[int] | Floats, values: Floats, purse: int) -> tuple[Floats, Floats]:
    """A learning curve on the common purse.

    Args:
        spent: Student tokens at each point, not falling.
        values: At those points.
        purse: Student tokens that the axis ends at.

    Returns:
        Spent share of the purse, rising from 0 to 1, and the values. The last one is carried forward to the full
        purse; what was spent beyond it is cut off (linear in between).
    """
    x, y = np.asarray(spent, np.float64) / max(purse, 1), np.asarray(values, np.float64)
    if x[0] > 0:  # probes before the first lesson: the student was the untaught one all along
        x, y = np.insert(x, 0, 0.0), np.insert(y, 0, y[0])
    end = float(np.interp(1.0, x, y))
    inside = x < 1
    return np.append(x[inside], 1.0), np.append(y[inside], end)


def area(spent: Sequence[int] | Floats, values: Floats, purse: int) -> float:
    """Area under ``on_purse`` by trapezoids: the mean value over the purse."""
    x, y = on_purse(spent, values, purse)
    return float(np.trapezoid(y, x))


def counted(exam: TestExam) -> tuple[Accuracy, ...]:
    """Test counts by target (``Row.targets``)."""
    return tuple(Accuracy(k=k, n=n, split="test") for k, n in exam.counts if n)


def outcome(row: Row) -> Derived:
    """The primary outcome of a run that was examined, in [0, 1]: a macro mean over skills.

    Raises:
        ValueError: If it has no test exam.
    """
    return derive(lambda values: values @ _weights(row), _accuracies(row))


def outcome_difference(ours: Row, theirs: Row) -> Derived:
    """``ours`` − ``theirs`` on the same items.

    Raises:
        ValueError: If one has no test exam, or they have different primary outcomes or numbers of items.
    """
    if ours.primary != theirs.primary:
        raise ValueError("a paired difference needs one primary outcome; play both boards with the same one")
    a, b = _accuracies(ours), _accuracies(theirs)
    difference(a[0], b[0])  # refuses exams of other sizes
    if ours.curve is None:
        return difference(a[0], b[0])
    signed = np.concatenate([_weights(ours), -_weights(theirs)])
    return derive(lambda values: values @ signed, [*a, *b])


def by_item(row: Row) -> Floats:
    """The primary outcome of each test item, ``(items,)`` in [0, 1]; its macro mean over skills is ``outcome``.

    Raises:
        ValueError: If the run has no test exam.
    """
    points = np.array([exam.points for exam in _exams(row)], np.float64)
    return np.asarray(_weights(row) @ points / _exams(row)[0].attempts.out_of)


def _exams(row: Row) -> tuple[TestExam, ...]:
    if row.test is None:
        raise ValueError(f"the run of {row.teacher}, seed {row.seed}, has no test exam; score it first")
    return row.curve_exams or (row.test,)


def _accuracies(row: Row) -> list[Derived]:
    return [mean(counted(exam)) for exam in _exams(row)]


def _weights(row: Row) -> Floats:
    """What the accuracy of each opened student counts in the outcome, ``(exams,)``; they sum to 1."""
    if row.curve is None:
        return np.ones(1)
    spent = [row.steps[point.step].spent for point in row.curve.points]
    return np.array([area(spent, unit, row.curve.purse) for unit in np.eye(len(spent))])
