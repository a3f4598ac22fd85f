"""Samples to equal accuracy: read off curves whose answer is known, and honest about curves that never get there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.errors import SettingError
from dataenv.leaderboard.accuracy import Accuracy, mean
from dataenv.leaderboard.rows import read
from dataenv.leaderboard.statistics import sample_efficiency as samples
from dataenv.leaderboard.statistics.sample_efficiency import (
    LearningCurve,
    accuracy_at,
    examples_for,
    ratio,
    ratios,
    sentence,
)
from tests.dataenv.leaderboard.synthetic import make_board

SIZES = (100, 200, 400, 800, 1600)


def curve(*hundredths: int, sizes: tuple[int, ...] = SIZES) -> LearningCurve:
    shares = [mean([Accuracy(k=k, n=100, split="selection")]) for k in hundredths]
    return LearningCurve(sizes[: len(shares)], tuple(shares))


STATIC = curve(10, 20, 30, 40, 50)  # ten points a doubling


@given(st.floats(0.11, 0.49))
def test_a_curve_that_is_a_line_in_the_logarithm_is_read_exactly(accuracy: float) -> None:
    examples, bound = examples_for(STATIC, accuracy)
    assert bound == "exact"
    assert examples == pytest.approx(100 * 2 ** ((accuracy - 0.1) / 0.1))


@pytest.mark.parametrize(
    ("accuracy", "examples", "bound"),
    [(0.51, 1600, "at least"), (0.5, 1600, "exact"), (0.1, 100, "exact"), (0.02, 100, "at most")],
)
def test_what_the_curve_does_not_hold_is_only_bounded(accuracy: float, examples: float, bound: str) -> None:
    assert examples_for(STATIC, accuracy) == (pytest.approx(examples), bound)


def test_the_first_time_counts_where_a_curve_falls_again() -> None:
    assert examples_for(curve(10, 30, 20, 40), 0.25)[0] == pytest.approx(100 * 2**0.75)


def test_accuracy_between_lessons_and_outside_of_them() -> None:
    between = accuracy_at(STATIC, round(200 * 2**0.5))
    assert between is not None
    assert between.value == pytest.approx(0.25, abs=1e-3)
    assert between.split == "selection"
    assert accuracy_at(STATIC, 99) is accuracy_at(STATIC, 1601) is None


def test_twice_the_samples_is_two_with_an_interval_over_seeds() -> None:
    static = dict.fromkeys(range(4), STATIC)
    for size in (100, 200, 400, 800):
        made = ratio("fast", dict.fromkeys(range(4), curve(20, 30, 40, 50)), "static", static, size)
        assert made is not None
        assert [made.mean, made.low, made.high] == pytest.approx([2.0, 2.0, 2.0])
    spread = {0: curve(20), 1: curve(30), 9: curve(10)}
    made = ratio("fast", spread, "static", static, 100)
    assert made is not None
    assert made.mean == pytest.approx(math.sqrt(2 * 4)), "geometric"
    assert made.low is not None
    assert made.low < 2
    assert [run.seed for run in made.runs] == [0, 1], "paired"
    assert ratio("fast", spread, "static", static, 1600) is None


def test_seeds_that_never_got_there_are_counted_and_said() -> None:
    fast, static = {0: curve(30, 60), 1: curve(5, 20)}, dict.fromkeys((0, 1), STATIC)
    late, early = (ratio("fast", fast, "static", static, size) for size in (200, 100))
    assert late is not None
    assert early is not None
    assert (late.bounded("at least"), late.bounded("exact")) == (1, 1)
    assert late.runs[0].examples == 1600
    assert "≥ 8.00, 1.00; static never got there in 1 of 2" in sentence(late)
    assert "was there after its first lesson in 1 of 2" in sentence(early)
    assert "never" not in sentence(early)


def test_of_a_board_every_teacher_is_read_and_no_failed_run() -> None:
    rows = read(make_board(3))
    found = samples.curves_of(rows)
    kept = [
        step["kept"] for row in make_board(3) if (row["teacher"], row["seed"]) == ("random", 0) for step in row["steps"]
    ]
    assert found["random"][0].sizes == tuple(sum(kept[: i + 1]) for i in range(1, len(kept)))
    assert 2 not in found["frontier"], "failed"
    spent = [
        step["spent"]
        for row in make_board(3)
        if (row["teacher"], row["seed"]) == ("random", 0)
        for step in row["steps"]
    ]
    assert samples.curves_of(rows, "tokens")["random"][0].sizes == tuple(spent[1:])
    made = ratios(rows, "stratified", [4000])
    assert {r.teacher for r in made} == {row.teacher for row in rows if row.role == "teacher"} - {"stratified"}
    other = read([row for row in make_board(3) if row["teacher"] == "stratified"])
    assert ratios(rows, "stratified", [4000], other) == made
    with pytest.raises(SettingError, match="baseline 'nobody' is no teacher of this board; give one of failure, "):
        ratios(rows, "nobody", [4000])
