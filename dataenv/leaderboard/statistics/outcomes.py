"""The primary outcome of a run, on the test split: what a board ranks by and what its verdicts are of.

``final``: accuracy of the selected student. ``area``: area under the learning curve over the purse, by trapezoids
between the students whose test exams were opened. No teacher is rewarded on either.
"""

from __future__ import annotations

import numpy as np

from dataenv.leaderboard.accuracy import Accuracy, Derived, Floats, derive, difference, mean
from dataenv.leaderboard.rows import Row, TestExam
from dataenv.leaderboard.scoring import area

OUTCOMES = {
    "final": "test accuracy of the selected student",
    "area": "area under the learning curve on the test split",
}
"""Primary outcomes, in words."""


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
