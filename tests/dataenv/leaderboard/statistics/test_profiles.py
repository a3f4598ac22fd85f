"""Missing-skill profiles of a board: means, overlaps by hand, and what two random choices would share."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from dataenv.episode.profiles import SkillProfile
from dataenv.errors import SettingError
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.profiles import by_chance, of_boards, overlap, profile_report, rank_correlation
from tests.dataenv.leaderboard.synthetic import make_row

SKILLS = ("a", "b", "c", "d")


def profile(step: int = 0, diagnoser: str = "task", used: bool = True, **missing: float) -> SkillProfile:
    return SkillProfile(step=step, diagnoser=diagnoser, used=used, problems=9, missing=missing)


def row(teacher: str, seed: int, *profiles: SkillProfile) -> Row:
    return Row.model_validate(make_row(teacher, seed)).model_copy(update={"skills": SKILLS, "profiles": profiles})


def test_shares_are_means_over_the_runs_that_miss_anything() -> None:
    rows = [
        row("x", 0, profile(a=3, b=1), profile(step=1, b=2)),
        row("x", 1, profile(a=1, c=1), profile(step=1)),
        row("y", 0),
    ]
    found = profile_report(rows)
    assert found is not None
    assert list(found.teachers) == ["x"]
    first, last = found.teachers["x"]
    assert first.shares == pytest.approx({"a": 0.625, "c": 0.25, "b": 0.125})
    assert list(first.shares) == ["a", "c", "b"]
    assert (first.runs, first.problems) == (2, 18)
    assert (last.step, last.runs, last.shares) == (1, 2, {"b": 1.0})
    assert profile_report([row("y", 0)]) is None


def test_heads_are_compared_seed_by_seed() -> None:
    one = {0: profile(a=4, b=3, c=2, d=1), 1: profile(a=2, b=1), 2: profile(a=1)}
    other = {0: profile(a=1, b=9, d=8), 1: profile(b=5, a=5), 3: profile(a=1)}
    found = overlap(("x", one), ("y", other), SKILLS, 2)
    assert found is not None
    assert (found.seeds, found.skills, found.top) == (2, 4, 2)
    assert found.jaccard == pytest.approx((1 / 3 + 1) / 2), "a and b against b and d; then the same two"
    assert found.chance == pytest.approx(by_chance(2, 2, 4))
    expected = [spearmanr([4, 3, 2, 1], [1, 9, 0, 8]).statistic, spearmanr([2, 1, 0, 0], [5, 5, 0, 0]).statistic]
    assert found.rank == pytest.approx(np.mean(expected))
    assert found.ranked == 2
    assert overlap(("x", {0: profile()}), ("y", {0: profile(a=1)}), SKILLS) is None, "nothing is missing"
    assert overlap(("x", {0: profile(a=1)}), ("y", {1: profile(a=1)}), SKILLS) is None, "no seed in common"


def test_the_same_problems_are_compared_one_by_one() -> None:
    def told(diagnoser: str, **lacks: tuple[str, ...]) -> SkillProfile:
        return SkillProfile(step=0, diagnoser=diagnoser, problems=3, missing={"a": 1.0}, lacks=lacks)

    one, other = told("task", p=("a", "b"), q=("c",), r=("a",)), told("chat", p=("b", "d"), q=("c",), s=("a",))
    found = overlap(("x", {0: one}), ("y", {0: other}), SKILLS)
    assert found is not None
    assert (found.problems, found.both, found.said, found.others) == (2, 2, 3, 3)


@pytest.mark.parametrize(("a", "b", "n"), [(2, 2, 4), (1, 3, 5), (5, 5, 6), (3, 3, 3)])
def test_chance_is_the_mean_over_all_choices(a: int, b: int, n: int) -> None:
    pairs = [(set(x), set(y)) for x in combinations(range(n), a) for y in combinations(range(n), b)]
    assert by_chance(a, b, n) == pytest.approx(np.mean([len(x & y) / len(x | y) for x, y in pairs]))


def test_ranks_are_those_of_spearman() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, (2, 9))
        assert rank_correlation(a.tolist(), b.tolist()) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_pairs_are_of_the_untaught_student_and_of_first_and_last() -> None:
    rows = [
        row("x", s, profile(a=2, b=1), profile(diagnoser="chat", used=False, b=1), profile(step=2, c=1)) for s in (0, 1)
    ]
    found = profile_report([*rows, row("y", 0, profile(step=1, a=1))])
    assert found is not None
    assert [(one.one, one.other, one.seeds) for one in found.overlaps] == [
        ("x (task)", "x (chat)", 2),
        ("x (task), first", "x (task), last", 2),
    ]
    assert found.overlaps[1].jaccard == 0.0


def test_two_boards_stand_side_by_side() -> None:
    found = of_boards({"one": [row("x", 0, profile(a=1))], "two": [row("x", 0, profile(a=1, b=2))]})
    assert [(one.one, one.other) for one in found.overlaps] == [("one: x (task)", "two: x (task)")]
    with pytest.raises(SettingError, match="hold no profile; play a teacher that makes one, such as stat-sel"):
        of_boards({"one": [row("x", 0)]})
    other = row("x", 0, profile(a=1)).model_copy(update={"skills": ("z",)})
    with pytest.raises(SettingError, match="one and two have other skills; give two boards of one task"):
        of_boards({"one": [row("x", 0, profile(a=1))], "two": [other]})
