"""Teachers among each other: a second family of comparisons, and the sentence that tells of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataenv.leaderboard.rows import read
from dataenv.leaderboard.statistics.among import MOST, among, told_apart
from dataenv.leaderboard.statistics.formulas import scored_rows
from dataenv.leaderboard.statistics.summary import Summary, summarise
from tests.dataenv.leaderboard.synthetic import make_row

LEVELS = {"stratified": 0.5, "good": 0.7, "alike": 0.7, "poor": 0.3}


def played(teacher: str, seed: int, level: float, rng: np.random.Generator) -> dict[str, Any]:
    """A run whose test answers are right with a probability."""
    row = make_row(teacher, seed, role="reference" if teacher == "nothing" else "teacher")
    n = row["test"]["n"]
    bits = [rng.random(count) < level for count in n]
    correct = "".join("01"[int(bit)] for part in bits for bit in part)
    test = {"correct": correct, "n": n, "by_skill": [int(part.sum()) for part in bits]}
    return row | {"test": test}


def rows(levels: dict[str, float], seeds: int = 8, rng_seed: int = 0) -> list[dict[str, Any]]:
    """A run of each teacher and seed, and the untaught student's."""
    rng = np.random.default_rng(rng_seed)
    everyone = levels | {"nothing": 0.1}
    return [played(name, seed, level, rng) for name, level in everyone.items() for seed in range(seeds)]


def summary(levels: dict[str, float], seeds: int = 8) -> Summary:
    return summarise(rows(levels, seeds))


def test_every_pair_beside_the_baseline_is_compared_once() -> None:
    found = summary(LEVELS)
    assert {frozenset((c.teacher, c.baseline)) for c in found.among} == {
        frozenset(pair) for pair in (("good", "alike"), ("good", "poor"), ("alike", "poor"))
    }
    for c in found.among:
        assert c.p is not None
        assert c.p_adjusted is not None
        assert c.p_adjusted >= c.p


def test_the_first_sentence_says_who_did_better_than_whom() -> None:
    first = summary(LEVELS).reading[0]
    assert "among each other (3 pairs, corrected together)" in first
    assert "good did better than poor" in first
    assert "alike did better than poor" in first
    assert "good did better than alike" not in first
    same = summary({"stratified": 0.5, "good": 0.7, "alike": 0.7}).reading[0]
    assert same.endswith("among each other (1 pair, corrected together) no two can be told apart.")


def test_few_seeds_one_teacher_or_many_say_nothing_of_pairs() -> None:
    assert "among each other" not in summary(LEVELS, seeds=5).reading[0]
    assert summary({"stratified": 0.5, "good": 0.7}).among == ()
    many = {"stratified": 0.5} | {f"t{i}": 0.5 for i in range(MOST + 1)}
    assert summary(many, seeds=6).among == ()


def test_a_teacher_that_failed_is_in_no_pair() -> None:
    made = read(rows(LEVELS))
    failed = [
        row.model_copy(update={"ended": "failed", "error": "lost", "test": None, "selected": 0})
        if (row.teacher, row.seed) == ("good", 0)
        else row
        for row in made
    ]
    for untaught in ([], [row.model_copy(update={"selected": 0}) for row in failed if row.teacher == "nothing"]):
        there = [row for row in failed if row.teacher != "nothing"] + untaught
        pairs = among(summarise(there).teachers, scored_rows(there))
        assert [{c.teacher, c.baseline} for c in pairs] == [{"alike", "poor"}]


@pytest.mark.parametrize("seed", range(2))
def test_alike_teachers_are_seldom_told_apart(seed: int) -> None:
    """Boards of four teachers that are all alike, ten each time."""
    boards = [summarise(rows(dict.fromkeys(LEVELS, 0.5), 6, 100 * seed + i)) for i in range(10)]
    assert sum("did better than" in told_apart(board.among) for board in boards) <= 1
