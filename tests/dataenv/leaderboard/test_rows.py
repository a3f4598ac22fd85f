"""Rows: what does not add up is refused, with the field that is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from dataenv.leaderboard.rows import Row, TestExam, read
from tests.dataenv.leaderboard.synthetic import HOSTILE, make_row


def test_a_row_comes_back_from_its_json() -> None:
    row = Row.model_validate(make_row("failure", hostile=True))
    again = Row.model_validate_json(row.model_dump_json())
    assert again == row
    assert again.model_dump_json() == row.model_dump_json()
    assert '"schema":1' in row.model_dump_json()


def test_lone_surrogates_are_replaced() -> None:
    row = make_row("t")
    row["mistakes"][0]["response"] = "\ud800"
    assert Row.model_validate(row).mistakes[0].response == "?"


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(row: dict[str, Any]) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place: Any = row
        for part in parents:
            place = place[part]
        place[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("steps/1/offered", 1, "offered is 1"),
        ("steps/1/selection/correct/0", 51, "correct is larger than n"),
        ("steps/1/selection/correct", [1], "one count a skill"),
        ("steps/1/mixture", [1.0], "must give selection"),
        ("steps/1/mixture", [], "must give selection"),
        ("steps/2/spent", 0, "cumulative"),
        ("steps/2/step", 7, "numbered from 0"),
        ("steps/1/reward", float("nan"), "finite"),
        ("test/correct", "01", "has 2 items"),
        ("test/by_skill/0", 0, "by_skill[0] is 0"),
        ("test/correct", "2" * 1200, "pattern"),
        ("test/correct", "0" * 1199 + "\n", "pattern"),
        ("transfer/n", 1, "n is 1"),
        ("budget/probes", 1, "training + probes"),
        ("budget/total", 1, "more than the purse"),
        ("selected", 99, "selected is 99"),
        ("error", "why", "error is one sentence"),
        ("test", None, "may be missing only"),
        ("skills", ["a"] * 12, "a name twice"),
        ("schema", 2, "Input should be 1"),
        ("typo", 1, "Extra inputs"),
    ],
)
def test_what_does_not_add_up_is_refused(path: str, value: Any, said: str) -> None:
    row = copy.deepcopy(make_row("t"))
    change(path, value)(row)
    with pytest.raises(ValidationError) as caught:
        Row.model_validate(row)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, "seed 0 twice"),
        ({"seed": 1, "board": "x"}, "differ in board"),
        ({"seed": 1, "simulated": True}, "differ in simulated"),
        ({"seed": 1, "setting_digest": "00"}, "differ in setting_digest"),
        ({"seed": 1, "hashes": {"task": "00"}}, "differ in hashes.task"),
        ({"seed": 1, "level": "open-ended"}, "differ in role, level, mask, finish or engine"),
    ],
)
def test_rows_that_cannot_stand_on_one_board(other: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        read([make_row("t"), make_row("t") | other])


def test_no_rows_is_no_board() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        read([])


def test_hostile_texts_hold_what_they_should() -> None:
    assert any("\x1b" in text for text in HOSTILE)
    assert any("\u202e" in text for text in HOSTILE)


def test_a_lenient_score_is_never_below_the_strict_one() -> None:
    exam = {"correct": "1100", "n": [2, 2], "by_skill": [2, 0]}
    assert TestExam.model_validate(exam | {"lenient": "1101"}).lenient == "1101"
    with pytest.raises(ValidationError, match="right leniently too"):
        TestExam.model_validate(exam | {"lenient": "0111"})
    with pytest.raises(ValidationError, match="lenient has 3 items"):
        TestExam.model_validate(exam | {"lenient": "110"})


def test_a_lenient_score_is_counted_in_the_points_of_the_strict_one() -> None:
    held = {"attempts": {"samples": 3, "score": "pass", "k": 2}, "n": [2], "by_skill": [2]}
    exam = TestExam.model_validate(held | {"correct": "100000", "lenient": "110001"})
    assert exam.counts == ((2, 6),)
    assert exam.forgiven == (3 + 2, 6), "sets of two of three answers that hold a right one"
    assert TestExam.model_validate(held | {"correct": "100000"}).forgiven is None


@pytest.mark.parametrize("exam", ["test", "transfer"])
def test_what_was_not_asked_is_among_what_is_not_right(exam: str) -> None:
    row = copy.deepcopy(make_row("t"))
    wrong = row[exam]["correct"].count("0")
    assert "unasked" not in Row.model_validate(row).model_dump(mode="json")[exam]
    row[exam]["unasked"] = wrong
    assert Row.model_validate(row).model_dump(mode="json")[exam]["unasked"] == wrong
    row[exam]["unasked"] = wrong + 1
    with pytest.raises(ValidationError, match="unasked is larger than the number of items that are not right"):
        Row.model_validate(row)
