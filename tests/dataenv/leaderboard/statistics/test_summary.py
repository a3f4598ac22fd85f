"""What a summary says of checkers that failed, and of problems that were answered several times."""

from __future__ import annotations

from typing import Any

from dataenv.leaderboard.report.tables import terminal_table
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.synthetic import make_board


def test_a_checker_that_failed_is_told_of_every_exam() -> None:
    rows = make_board(2)
    assert not any("grader" in warning for warning in summarise(rows).warnings)
    first = next(row for row in rows if row["teacher"] == "random" and row["seed"] == 0)
    first["test"]["grader_errors"] = 3
    first["transfer"]["grader_errors"] = 1000 // 25
    first["steps"][0]["grader_errors"], first["steps"][1]["grader_errors"] = 1, 1
    said = "The grader failed on 3 test, 40 transfer, 2 feedback and selection answers of random; "
    assert said + "they count as not right." in summarise(rows).warnings


def sampled(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose problems were each answered twice, the second time wrongly."""
    test, transfer = row["test"], row["transfer"]
    twice = {"attempts": {"samples": 2}}
    test = test | twice | {"correct": "".join(f"{bit}0" for bit in test["correct"])}
    return row | {
        "test": test,
        "transfer": transfer | twice | {"correct": "".join(f"{b}0" for b in transfer["correct"])},
    }


def test_two_answers_to_a_problem_are_two_of_n() -> None:
    plain = make_board(2)
    once, twice = summarise(plain), summarise([sampled(row) for row in plain])
    assert (once.exam, twice.exam) == ("", "avg@2")
    assert once.test_items == twice.test_items
    for a, b in zip(once.teachers, twice.teachers, strict=True):
        assert a.test is not None
        assert b.test is not None
        assert (b.test.k, b.test.n) == (a.test.k, 2 * a.test.n)
        assert a.transfer is not None
        assert b.transfer is not None
        assert (b.transfer.k, b.transfer.n) == (a.transfer.k, 2 * a.transfer.n)
    assert any("items a student, avg@2)" in source for source in twice.sources)
    assert terminal_table([sampled(row) for row in plain]).summary.exam == "avg@2"
