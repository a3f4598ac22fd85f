"""Primary outcomes: the area by hand, items whose mean is the outcome, and rows that cannot stand together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataenv.leaderboard.rows import Row, read
from dataenv.leaderboard.scoring import area
from dataenv.leaderboard.statistics.outcomes import by_item, outcome, outcome_difference
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.synthetic import PURSE, SKILLS, TEST_N, make_row


def with_curve(teacher: str, seed: int = 0, steps: tuple[int, ...] = (0, 4, 8), **args: Any) -> dict[str, Any]:
    """A row of the synthetic board with test exams along the run; later students know what earlier ones knew."""
    row = make_row(teacher, seed, **args)
    right = np.array(list(row["test"]["correct"]), int)
    ease = np.random.default_rng([seed, *teacher.encode()]).random(len(right))
    last = max(steps[-1], 1)
    points = [{"step": s, "correct": "".join(map(str, right & (ease < (s + 1) / (last + 1))))} for s in steps]
    return row | {"curve": {"purse": PURSE, "points": points}}


def test_the_area_by_hand() -> None:
    # 0 to 0.5 rises from 0.2 to 0.6, then level: 0.5 * 0.4 + 0.5 * 0.6
    assert area([0, 50], np.array([0.2, 0.6]), 100) == pytest.approx(0.5)
    assert area([0, 50, 100], np.array([0.2, 0.6, 0.6]), 100) == pytest.approx(0.5)
    assert area([0, 400], np.array([0.0, 0.8]), 100) == pytest.approx(0.1), "beyond the purse it is cut off"
    assert area([10, 100], np.array([0.5, 0.5]), 100) == pytest.approx(0.5)


def test_the_outcome_is_the_area_of_the_opened_exams_and_the_mean_of_its_items() -> None:
    row = Row.model_validate(with_curve("failure"))
    spent = [row.steps[i].spent for i in (0, 4, 8)]
    accuracies = [np.mean([int(c) for c in point.correct]) for point in row.curve.points]  # skills are equally large
    assert outcome(row).value == pytest.approx(area(spent, np.array(accuracies), PURSE))
    assert by_item(row).reshape(len(SKILLS), TEST_N).mean(1).mean() == pytest.approx(outcome(row).value)
    assert outcome(row).split == "test"


def test_without_a_curve_it_is_the_test_accuracy_of_the_selected_student() -> None:
    row = Row.model_validate(make_row("failure"))
    assert row.primary == "final"
    assert outcome(row).value == pytest.approx(np.mean([int(c) for c in row.test.correct]))
    assert by_item(row).mean() == pytest.approx(outcome(row).value)


def test_runs_of_different_numbers_of_exams_are_compared() -> None:
    ours, theirs = (Row.model_validate(with_curve(*args)) for args in (("failure", 0, (0, 8)), ("stratified",)))
    assert outcome_difference(ours, theirs).value == pytest.approx(outcome(ours).value - outcome(theirs).value)
    with pytest.raises(ValueError, match="one primary outcome"):
        outcome_difference(ours, Row.model_validate(make_row("stratified")))


def test_a_board_ranks_and_tests_the_area_and_says_so() -> None:
    names = ("stratified", "failure", "frontier")
    rows = [with_curve(name, seed) for name in names for seed in range(6)]
    summary = summarise(rows)
    assert summary.primary == "area"
    assert any("area %" in said and "test split" in said for said in summary.sources)
    assert summary.reading[0].startswith("Over 6 seeds, by area under the learning curve on the test split: ")
    values = [s.outcome.value for s in summary.teachers]
    assert values == sorted(values, reverse=True)
    for s in summary.teachers:
        each = [outcome(Row.model_validate(row)).value for row in rows if row["teacher"] == s.teacher]
        assert s.outcome.value == pytest.approx(np.mean(each))
    best = summary.teachers[0]
    if best.comparison:
        assert best.comparison.gain.value == pytest.approx(
            best.outcome.value - next(s for s in summary.teachers if s.teacher == "stratified").outcome.value
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"purse": PURSE, "points": [{"step": 1, "correct": ""}]}, "begin with step 0"),
        ({"purse": PURSE, "points": [{"step": 0, "correct": "01"}]}, "as many answers as test.correct"),
        ({"purse": 0, "points": [{"step": 0, "correct": ""}]}, "purse"),
    ],
)
def test_a_curve_that_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Row.model_validate(make_row("failure") | {"curve": change})


def test_rows_of_two_primary_outcomes_do_not_stand_on_one_board() -> None:
    with pytest.raises(ValueError, match="primary outcome"):
        read([with_curve("failure"), make_row("stratified")])
