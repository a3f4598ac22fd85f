"""Statistics against hand-computed and scipy values, properties, and the edges."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dataenv.leaderboard.accuracy import Accuracy, mean
from dataenv.leaderboard.rows import Row, read
from dataenv.leaderboard.statistics import formulas as board_statistics
from dataenv.leaderboard.statistics.comparisons import compare
from dataenv.leaderboard.statistics.formulas import (
    area_under_curve,
    curve,
    forgetting,
    holm,
    interquartile_mean,
    paired_t,
    score,
    scored_rows,
)
from dataenv.leaderboard.statistics.standings import Target
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.synthetic import PURSE, make_board, make_row

shares = st.floats(-1, 1, allow_nan=False)


def tiny(
    teacher: str, seed: int, bits: str, n: tuple[int, ...] = (4, 4), *, ended: str = "spent", points=((0, 1), (100, 2))
) -> dict:
    """A run of two skills; ``points`` are (tokens spent, right answers of 4 in each skill) of its steps."""
    role = "reference" if teacher in ("nothing", "static-best") else "teacher"
    row = make_row(teacher, seed, role=role, steps=0)
    starts = np.cumsum((0, *n))
    by_skill = [bits[a:b].count("1") for a, b in itertools.pairwise(starts)]
    steps = [
        {
            "step": i, "spent": spent, "state": "s", "reward": 0.0, "loss": [1.0, 1.0],
            "selection": {"correct": [k, k], "n": [4, 4]}, "feedback": {"correct": [0, 0], "n": [4, 4]},
            "mixture": [0.5, 0.5] if i else None, "offered": 5 * (i > 0), "kept": 3 * (i > 0),
            "rejected": {"leak": 2} if i else {}, "lesson": f"lesson {i}" if i else None,
        }
        for i, (spent, k) in enumerate(points)
    ]  # fmt: skip
    last = points[-1][0]
    exam = {"correct": bits, "n": list(n), "by_skill": by_skill, "grader_errors": 0}
    return row | {
        "skills": ["a", "b"], "steps": steps, "selected": 0 if teacher == "nothing" else len(steps) - 1,
        "ended": ended, "error": "diverged" if ended == "failed" else None,
        "test": None if ended == "failed" else exam, "transfer": None,
        "budget": {"total": 200, "spent": last, "training": last, "probes": 0, "examples": 3, "prior": 0},
    }  # fmt: skip


def scored(*rows: dict) -> dict[str, dict[int, Row]]:
    return scored_rows(read(rows))


# --- paired t --------------------------------------------------------------------------------------------------------


@given(st.lists(shares, min_size=2, max_size=12).filter(lambda x: np.ptp(x) > 1e-3))
def test_paired_t_is_scipys(differences: list[float]) -> None:
    ours, theirs = paired_t(differences), scipy.stats.ttest_1samp(differences, 0)
    interval = theirs.confidence_interval(0.95)
    assert (ours.gain, ours.p) == (pytest.approx(np.mean(differences)), pytest.approx(theirs.pvalue, abs=1e-12))
    assert (ours.low, ours.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_paired_t_by_hand() -> None:
    # mean 2, sd 2, n 4: standard error 1; t(.975, 3) = 3.18245, t(.8, 3) = 0.97847
    result = paired_t([0.0, 0.02, 0.02, 0.04])
    sd = math.sqrt(8 / 3) / 100
    assert result.sd == pytest.approx(sd)
    assert result.high == pytest.approx(0.02 + 3.18245 * sd / 2, abs=1e-6)
    assert result.visible == pytest.approx((3.18245 + 0.97847) * sd / 2, abs=1e-6)


def test_smallest_visible_gain_is_seen_four_times_in_five() -> None:
    """Where the true gain is the visible one of the true sd, the interval is clear of zero in about 80 % of boards."""
    rng, n, sd = np.random.default_rng(0), 6, 0.02
    gain = (scipy.stats.t.ppf(0.975, n - 1) + scipy.stats.t.ppf(0.8, n - 1)) * sd / math.sqrt(n)
    seen = [(paired_t(list(rng.normal(gain, sd, n))).low or 0) > 0 for _ in range(800)]
    assert 0.74 < np.mean(seen) < 0.86


@pytest.mark.parametrize(("differences", "gain"), [([], None), ([0.1], 0.1)])
def test_fewer_than_two_seeds_give_no_interval(differences: list[float], gain: float | None) -> None:
    result = paired_t(differences)
    assert result.gain == gain
    assert (result.low, result.high, result.p, result.visible) == (None,) * 4


def test_no_spread_takes_the_sign_flip_p() -> None:
    assert paired_t([0.1] * 6) == (pytest.approx(0.1), 0.0, pytest.approx(0.1), pytest.approx(0.1), 2 / 64, None)
    assert paired_t([0.0] * 6).p == 1.0


@given(st.lists(shares, min_size=2, max_size=8))
def test_the_other_way_round_only_turns_the_sign(differences: list[float]) -> None:
    ours, theirs = paired_t(differences), paired_t([-d for d in differences])
    assert ours.low == pytest.approx(-theirs.high, abs=1e-12)
    assert ours.p == pytest.approx(theirs.p, abs=1e-9)


# --- Holm ------------------------------------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    # sorted .01 .02 .04 times 3, 2, 1 = .03 .04 .04
    assert holm({"a": 0.04, "b": 0.01, "c": 0.02}) == pytest.approx({"a": 0.04, "b": 0.03, "c": 0.04})
    assert holm({"a": 0.6, "b": 0.5}) == pytest.approx({"a": 1.0, "b": 1.0})
    assert holm({}) == {}


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_lies_between_p_and_bonferroni(p: dict[str, float]) -> None:
    adjusted = holm(p)
    for name, value in p.items():
        assert value <= adjusted[name] <= min(1.0, len(p) * value) + 1e-12
    by_p = sorted(p, key=lambda name: p[name])
    assert all(adjusted[a] <= adjusted[b] for a, b in itertools.pairwise(by_p))


# --- runs ------------------------------------------------------------------------------------------------------------


def test_score_is_the_macro_mean_even_where_n_differs() -> None:
    row = Row.model_validate(tiny("t", 0, "1" * 2 + "1" * 3 + "0" * 3, (2, 6)))
    assert row.test is not None
    assert score(row.test).value == pytest.approx((1 + 0.5) / 2)


def test_compare_by_hand() -> None:
    rows = [tiny("t", 0, "11110000"), tiny("stratified", 0, "10101000"), tiny("t", 1, "1" * 8),
            tiny("stratified", 1, "0" * 8), tiny("t", 2, "1" * 8)]  # fmt: skip
    c = compare("t", "stratified", scored(*rows))
    assert c.seeds == (0, 1)
    assert [d.value for d in c.differences] == pytest.approx([1 / 8, 1.0])
    assert (c.won, c.lost, c.items) == (2 + 8, 1, 16)
    assert any("2 seeds that both have" in note for note in c.notes)


def test_a_gain_is_the_difference_of_scores_where_n_differs() -> None:
    rows = [tiny("t", 0, "11" + "000000", (2, 6)), tiny("stratified", 0, "00" + "111000", (2, 6))]
    c = compare("t", "stratified", scored(*rows))
    assert c.gain.value == pytest.approx(0.5 - 0.25)


def test_curve_and_area_by_hand() -> None:
    row = Row.model_validate(tiny("t", 0, "0" * 8, points=((0, 0), (50, 2), (100, 4))))
    # purse 200: 0 to .5 over a quarter, .5 to 1 over a quarter, then 1 carried forward
    assert area_under_curve(row.steps, 200).value == pytest.approx(0.25 * 0.25 + 0.25 * 0.75 + 0.5)
    # a purse of 75 cuts the curve at .75
    x, y = curve(row.steps, 75)
    assert list(x) == pytest.approx([0, 2 / 3, 1])
    assert list(y) == pytest.approx([0, 0.5, 0.75])
    assert area_under_curve(row.steps[:1], 200).value == pytest.approx(0.0)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), min_size=1, max_size=6), st.integers(1, 200))
def test_area_lies_between_the_lowest_and_the_highest_accuracy(jumps: list[tuple[int, int]], purse: int) -> None:
    spent = np.cumsum([tokens for tokens, _ in jumps])
    if spent[-1] > 200:
        return
    points = tuple((int(t), k) for t, (_, k) in zip(spent, jumps, strict=True))
    row = Row.model_validate(tiny("t", 0, "0" * 8, points=points))
    values = [k / 4 for _, k in jumps]
    assert min(values) - 1e-9 <= area_under_curve(row.steps, purse).value <= max(values) + 1e-9


def test_forgetting_is_the_largest_fall_before_the_selected_state() -> None:
    row = Row.model_validate(tiny("t", 0, "0" * 8, points=((0, 4), (10, 1), (20, 3), (30, 0))))
    assert forgetting(row.steps, 2).value == pytest.approx(1 / 4)
    assert forgetting(row.steps, 1).value == pytest.approx(3 / 4)
    assert forgetting(row.steps, 0).value == 0.0


def test_interquartile_mean_cuts_a_quarter_at_each_end() -> None:
    figures = [mean([Accuracy(k=k, n=50, split="test")]) for k in (50, 0, 9, 1, 5, 2)]
    assert interquartile_mean(figures).value == pytest.approx((1 + 2 + 5 + 9) / 4 / 50)
    assert interquartile_mean(figures[:1]).value == 1


# --- samples to target -----------------------------------------------------------------------------------------------


def target_of(teacher: str, *rows: dict) -> Target:
    target = next(s for s in summarise(rows).teachers if s.teacher == teacher).target
    assert target is not None
    return target


def test_samples_to_target_by_hand() -> None:
    # stratified: 3 of 4 at its best, after 100 tokens. t has 2 of 4 after 40 and 3 of 4 after 80: two lessons of 3.
    rows = [tiny("stratified", 0, "1" * 8, points=((0, 1), (100, 3))),
            tiny("t", 0, "1" * 8, points=((0, 1), (40, 2), (80, 3), (120, 4)))]  # fmt: skip
    (run,) = target_of("t", *rows).runs
    assert (run.seed, run.target.value, run.target.split, run.tokens, run.examples) == (0, 0.75, "selection", 80, 6)
    (own,) = target_of("stratified", *rows).runs
    assert (own.tokens, own.examples) == (100, 3)


def test_the_target_is_that_of_the_selected_state() -> None:
    rows = [tiny("stratified", 0, "1" * 8, points=((0, 1), (50, 4), (100, 2))) | {"selected": 1},
            tiny("t", 0, "1" * 8, points=((0, 1), (60, 3), (120, 4), (150, 1)))]  # fmt: skip
    assert target_of("t", *rows).runs[0].tokens == 120


def test_a_lesson_that_was_not_trained_is_no_sample() -> None:
    row = tiny("t", 0, "1" * 8, points=((0, 1), (40, 1), (80, 4)))
    row["steps"][1]["lesson"] = None
    assert target_of("t", row, tiny("stratified", 0, "1" * 8)).runs[0].examples == 3


def test_seeds_that_never_get_there_are_counted_and_not_dropped() -> None:
    base = [tiny("stratified", s, "1" * 8, points=((0, 1), (100, 3))) for s in range(4)]
    good = [tiny("t", s, "1" * 8, points=((0, 1), (10, 4))) for s in range(4)]
    never = [tiny("t", s, "1" * 8, points=((0, 1), (200, 2))) for s in range(4)]
    for reached, median in ((4, 10), (3, 10), (2, math.inf), (1, math.inf), (0, math.inf)):
        target = target_of("t", *base, *good[:reached], *never[reached:])
        assert (target.reached, len(target.runs), target.tokens) == (reached, 4, median)


def test_a_failed_run_never_gets_there_even_where_the_untaught_student_is_there() -> None:
    rows = [tiny("nothing", 0, "11000000", points=((0, 1),)), tiny("t", 0, "", ended="failed", points=((0, 4), (9, 4))),
            tiny("stratified", 0, "1" * 8, points=((0, 1), (100, 0))) | {"selected": 0},
            tiny("u", 0, "1" * 8, points=((0, 1), (100, 0)))]  # fmt: skip
    assert (target_of("t", *rows).runs[0].tokens, target_of("t", *rows).reached) == (None, 0)
    assert (target_of("u", *rows).runs[0].tokens, target_of("u", *rows).runs[0].examples) == (0, 0)


def test_seeds_without_a_baseline_have_no_target() -> None:
    rows = [tiny("nothing", s, "0" * 8, points=((0, 0),)) for s in range(3)]
    rows += [tiny("t", s, "1" * 8) for s in range(3)]
    rows += [tiny("stratified", s, "1" * 8, ended="failed" if s == 1 else "spent") for s in (0, 1)]
    assert [run.seed for run in target_of("t", *rows).runs] == [0]
    assert summarise([tiny("t", 0, "1" * 8)]).teachers[0].target is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5))
def test_a_better_curve_is_there_no_later(curves: list[tuple[int, int, int]]) -> None:
    base = [tiny("stratified", s, "1" * 8, points=((0, 1), (100, 3))) for s in range(len(curves))]
    points = [tuple((50 * i, k) for i, k in enumerate(curve)) for curve in curves]
    better = [tuple((spent, min(4, k + 1)) for spent, k in one) for one in points]
    ours, theirs = (
        target_of("t", *base, *(tiny("t", s, "1" * 8, points=one) for s, one in enumerate(several)))
        for several in (points, better)
    )
    assert ours.reached == sum(max(curve) >= 3 for curve in curves)
    assert theirs.reached >= ours.reached
    assert theirs.tokens <= ours.tokens


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_failed_run_scores_as_the_untaught_student_of_its_seed() -> None:
    rows = [tiny("nothing", 0, "11000000", points=((0, 1),)), tiny("t", 0, "", ended="failed"),
            tiny("stratified", 0, "1" * 8)]  # fmt: skip
    summary = summarise(rows)
    t = next(s for s in summary.teachers if s.teacher == "t")
    assert (t.failed, t.unscored, t.test.k, t.test.n) == ((0,), (), 2, 8)
    assert t.comparison.gain.value == pytest.approx(-6 / 8)
    assert any("t failed on 1 of 1 seeds (0): counted, scored as the untaught" in w for w in summary.warnings)


def test_a_failed_run_without_an_untaught_exam_is_counted_and_not_compared() -> None:
    rows = [tiny("t", 0, "", ended="failed"), *(tiny("t", s, "1" * 8) for s in (1, 2)),
            *(tiny("stratified", s, "0" * 8) for s in (0, 1, 2))]  # fmt: skip
    t = next(s for s in summarise(rows).teachers if s.teacher == "t")
    assert (t.unscored, t.comparison, t.verdict) == ((0,), None, "not compared")


def test_a_teacher_with_a_run_that_cannot_be_scored_has_no_score_of_the_runs_that_went_well() -> None:
    rows = [tiny("t", 0, "", ended="failed"), *(tiny("t", s, "1" * 8) for s in (1, 2)),
            *(tiny("stratified", s, "0" * 8) for s in (0, 1, 2))]  # fmt: skip
    summary = summarise(rows)
    t = summary.teachers[-1]
    assert (t.teacher, summary.teachers[0].teacher) == ("t", "stratified")
    assert (t.score, t.iqm, t.test, t.by_skill, t.worst, t.transfer, t.auc, t.forgetting) == (
        None, None, None, (), None, None, None, None
    )  # fmt: skip
    assert (len(t.seeds), t.failed, len(t.by_seed), t.target.reached, len(t.target.runs)) == (3, (0,), 2, 2, 3)
    assert any("without an untaught exam to score it by" in warning for warning in summary.warnings)


def test_a_failed_run_has_the_curve_the_transfer_and_the_worst_skill_of_the_untaught_student() -> None:
    transfer = {"transfer": {"correct": "10", "n": 2}}
    rows = [tiny("nothing", 0, "11110000", points=((0, 1),)) | transfer, tiny("t", 0, "", ended="failed"),
            tiny("stratified", 0, "1" * 8) | transfer]  # fmt: skip
    t = next(s for s in summarise(rows).teachers if s.teacher == "t")
    assert (t.auc.value, t.forgetting.value, t.iqm.value) == (0.25, 0.0, 0.5)
    assert (t.worst, t.transfer) == (("b", Accuracy(k=0, n=4, split="test")), Accuracy(k=1, n=2, split="transfer"))
    assert t.budget["spent"] == 100


def test_transfer_of_some_seeds_is_not_shown_and_that_is_said() -> None:
    rows = [tiny("stratified", s, "1" * 8) | ({"transfer": {"correct": "1", "n": 1}} if s else {}) for s in range(3)]
    summary = summarise(rows)
    assert summary.teachers[0].transfer is None
    assert "stratified has no transfer exam for some of its seeds, so its transfer is not shown." in summary.warnings
    assert not [w for w in summarise([tiny("t", 0, "1" * 8)]).warnings if "transfer" in w]


def test_problems_that_were_not_asked_are_said_once_a_split() -> None:
    rows = [tiny(t, s, "11110000") | {"transfer": {"correct": "10", "n": 2, "unasked": 1}} for t in ("stratified", "t")
            for s in range(2)]  # fmt: skip
    for row in rows:
        row["test"]["unasked"] = 3
    said = [warning for warning in summarise(rows).warnings if "not asked" in warning]
    assert said == [
        "3 of 8 test problems were not asked: longer than the student's context, or with its own marks. They count as "
        "not right.",
        "1 of 2 transfer problems were not asked: longer than the student's context, or with its own marks. They count "
        "as not right.",
    ]
    assert not [w for w in summarise([tiny("t", 0, "1" * 8)]).warnings if "asked" in w]


def test_seeds_where_the_baseline_failed_flatter_nobody() -> None:
    rows = [tiny("nothing", s, "0" * 8, points=((0, 0),)) for s in range(3)]
    rows += [tiny("t", s, "11110000") for s in range(3)]
    rows += [tiny("stratified", s, "11110000", ended="failed" if s == 1 else "spent") for s in range(3)]
    c = compare("t", "stratified", scored(*rows))
    assert (c.seeds, c.gain.value) == ((0, 2), 0.0)
    assert any("stratified failed on seed 1" in note for note in c.notes)


# --- boards ----------------------------------------------------------------------------------------------------------


def test_references_are_outside_the_family(board: list[dict]) -> None:
    summary = summarise(board)
    family = {s.teacher: s.comparison for s in summary.teachers if s.comparison}
    assert "stratified" not in family
    assert {name: c.p_holm for name, c in family.items()} == pytest.approx(
        holm({name: max(c.p_seeds, c.p_items) for name, c in family.items()})
    )
    assert all(c.p_adjusted >= max(c.p, c.p_holm) for c in family.values())
    assert all(s.comparison.p_adjusted is None and s.verdict == "not compared" for s in summary.references)


def test_order_of_rows_does_not_matter(board: list[dict]) -> None:
    shuffled = [board[i] for i in np.random.default_rng(1).permutation(len(board))]
    assert summarise(shuffled) == summarise(board)


def test_identical_teachers_cannot_be_told_apart() -> None:
    rows = [tiny(name, s, "10" * 4) for name in ("t", "stratified") for s in range(6)]
    summary = summarise(rows)
    t = next(s for s in summary.teachers if s.teacher == "t")
    assert (t.comparison.gain.value, t.comparison.p, t.verdict) == (0.0, 1.0, "cannot tell")
    assert "t cannot be told apart" in " ".join(summary.reading)


def test_one_seed_says_that_it_has_no_interval() -> None:
    summary = summarise(make_board(1))
    assert all(s.verdict in ("baseline", "cannot tell") for s in summary.teachers)
    assert summary.visible is None
    assert any("one seed, no interval" in sentence and "says little" in sentence for sentence in summary.seen)


def test_a_board_without_stratified_says_so(board: list[dict]) -> None:
    summary = summarise([row for row in board if row["teacher"] != "stratified"])
    assert all(s.comparison is None and s.verdict == "not compared" for s in summary.teachers)
    assert "No runs of stratified" in summary.reading[0]
    assert summary.sensitivity == ()


def test_sensitivity_names_what_is_not_above_zero(board: list[dict]) -> None:
    summary = summarise(board)
    taught, mixture = summary.sensitivity
    assert (taught.teacher, taught.baseline) == ("stratified", "nothing")
    assert taught.low.value > 0
    assert "says little" not in summary.seen[0]
    assert (mixture.teacher, mixture.baseline) == ("static-best", "stratified")
    assert mixture.low.value < 0
    assert "says little" in summary.seen[1]


def test_a_board_without_references_says_that_sensitivity_is_unknown() -> None:
    summary = summarise([tiny("stratified", 0, "1" * 8)])
    assert "Not measured: what teaching brings at all" in summary.seen[0]


def test_a_curve_may_be_spent_before_the_first_step() -> None:
    row = Row.model_validate(tiny("t", 0, "0" * 8, points=((50, 2), (100, 4))))
    assert area_under_curve(row.steps, 100).value == pytest.approx(0.5 * 0.5 + 0.5 * 0.75)


def test_untaught_is_pooled_over_seeds(board: list[dict]) -> None:
    nothing = [row for row in board if row["teacher"] == "nothing"]
    assert summarise(board).untaught[0].k == sum(row["test"]["by_skill"][0] for row in nothing)
    assert summarise(board).purse == PURSE


def test_scipy_is_not_loaded_by_import() -> None:
    code = (
        "import sys, dataenv.leaderboard.statistics.summary, dataenv.leaderboard.report.tables; "
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert board_statistics.ALPHA == 0.05
