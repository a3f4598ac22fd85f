"""Seeds until decided: parts of the error, decisions as a pure function, and the simulation, in part."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dataenv.leaderboard.config import Until
from dataenv.leaderboard.sequential import monitor as sequential
from dataenv.leaderboard.sequential.monitor import Pairs, bound_at, crossing, levels, monitor, sequential_p, shape
from dataenv.leaderboard.statistics.comparisons import corrected
from dataenv.leaderboard.statistics.formulas import paired_t
from tasks.records import stream

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture
def prove(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE"):  # tests/bench/common.py sets them
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("DATAENV_STORE", raising=False)
    monkeypatch.syspath_prepend(BENCH)
    for name in ("common", "null_models", "prove_sequential", "worlds"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import prove_sequential

    return prove_sequential


def drawn(seed: int, gains: dict[str, float], n: int = 24) -> dict[str, Pairs]:
    """A board: differences with sd 1 point around these gains, in points."""
    return {name: Pairs(stream(seed, name).normal(gain / 100, 0.01, n).tolist()) for name, gain in gains.items()}


PUBLISHED = [(0.0, 2, 1.977), (0.0, 4, 2.024), (0.0, 5, 2.040), (0.5, 2, 2.178), (0.5, 4, 2.361), (0.5, 5, 2.413)]


@pytest.mark.parametrize(("delta", "looks", "published"), PUBLISHED)
def test_boundaries_are_the_published_ones(
    delta: float, looks: int, published: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O'Brien and Fleming (1979) and Pocock (1977) at equal steps, two-sided 5 %."""
    monkeypatch.setattr(sequential, "DELTA", delta)
    assert crossing(published, tuple(range(1, looks + 1))) == pytest.approx(0.05, abs=1e-4)


def test_a_crossing_is_as_frequent_as_it_says() -> None:
    looks = (9, 12, 15, 18, 21, 24)
    sums = stream(0, "walk").standard_normal((20_000, looks[-1])).cumsum(1)
    z = np.array([np.abs(sums[:, n - 1]) / n**0.5 / shape(n, looks[-1]) for n in looks]).max(0)
    assert (z > bound_at(0.05, looks)).mean() == pytest.approx(0.05, abs=0.006)


def test_a_sequential_p_is_5_percent_at_the_level_of_every_look() -> None:
    for teachers in (1, 2, 6, 20):
        found = levels(Until().looks, teachers)
        assert len(found) > 3
        assert sum(found.values()) > 0.05 > max(found.values())
        for n, p in found.items():
            assert sequential_p(p, n, teachers, tuple(found)) == pytest.approx(0.05, rel=0.02)


def test_too_few_seeds_have_no_verdict_and_use_up_nothing() -> None:
    assert levels((3, 5), 6) == {}
    assert levels((6,), 6) == {6: 0.05}
    assert levels((3, 6, 9, 12), 6) == levels((9, 12), 6)
    for looks in (Until().looks, (5, 6, 7, 8, 9, 10), (4, 20)):
        found = levels(looks, 6)
        assert all(2.0 ** (1 - n) <= p for n, p in found.items())
        assert set(looks[-len(found) :]) == set(found)


def test_a_single_look_is_the_test_of_a_board_of_fixed_seeds() -> None:
    board = drawn(0, {"a": 1.0, "b": 0.0, "c": -0.4}, 8)
    look = monitor(Until(first=8, most=8), board)[0]
    by_seed = {name: dict(enumerate(pairs.differences)) for name, pairs in board.items()}
    of_t = {name: paired_t(list(by_seed[name].values())).p or 1.0 for name in board}
    fixed = corrected(of_t, by_seed)  # type: ignore[arg-type]
    assert {one.teacher: one.p_sequential for one in look.teachers} == pytest.approx(fixed, rel=1e-5)
    assert look.teachers[0].decision == ("better" if fixed["a"] < 0.05 else "undecided")


def test_a_sequential_p_never_rises_and_is_above_that_of_the_look() -> None:
    until = Until(effect=1e-6, worse=True)
    for i in range(20):
        looks = monitor(until, drawn(i, {"a": 0.4, "b": 0.0}))
        for name in ("a", "b"):
            judged = [next(one for one in look.teachers if one.teacher == name) for look in looks]
            assert [one.p_sequential for one in judged] == sorted((one.p_sequential for one in judged), reverse=True)
            of_looks = [one.p_adjusted for one in judged if one.p_adjusted is not None]
            assert judged[-1].p_sequential > min(of_looks) or judged[-1].p_sequential == 1
        for look in looks:
            for one in look.teachers:
                assert (one.p_adjusted is None) == (one.seeds not in levels(until.looks, 2))


def test_it_is_the_same_for_the_other_direction_and_in_another_unit() -> None:
    values = stream(1, "mirror").normal(0.01, 0.01, 24)
    up, down = (monitor(Until(effect=0.5, worse=True), {"a": Pairs((sign * values).tolist())}) for sign in (1, -1))
    assert [a.teachers[0].p_sequential for a in up] == [b.teachers[0].p_sequential for b in down]
    assert (up[-1].teachers[0].decision, down[-1].teachers[0].decision) == ("better", "worse")
    large = monitor(Until(effect=5.0, worse=True), {"a": Pairs((10 * values).tolist())})
    assert [a.teachers[0].p_sequential for a in large] == pytest.approx([b.teachers[0].p_sequential for b in up])


def test_names_and_order_of_teachers_decide_nothing() -> None:
    board = drawn(2, {"a": 2.0, "b": 0.0, "c": -2.0, "d": 0.5})
    one, other = (monitor(Until(effect=0.8), dict(items)) for items in (board.items(), reversed(board.items())))
    assert [sorted(a.teachers, key=lambda t: t.teacher) for a in one] == [
        sorted(b.teachers, key=lambda t: t.teacher) for b in other
    ]


def test_what_comes_after_a_look_changes_nothing_that_it_said() -> None:
    board = drawn(3, {"a": 0.0, "b": 0.0, "c": 1.0})
    whole = monitor(Until(effect=0.4), board)
    for n in range(25):
        part = monitor(Until(effect=0.4), {name: Pairs(pairs.differences[:n]) for name, pairs in board.items()})
        assert part == whole[: len(part)]
        assert len(part) >= sum(look.seeds <= n for look in whole)


def test_who_is_decided_stays_so_and_needs_no_further_seeds() -> None:
    until = Until(effect=0.1)
    first = min(levels(until.looks, 2))
    clear = Pairs(stream(4, "clear").normal(0.05, 0.01, first).tolist())
    looks = monitor(until, {"clear": clear, "close": Pairs([0.004, -0.002] * 12)})
    decisions = [look.teachers[0].decision for look in looks]
    assert set(decisions[until.looks.index(first) :]) == {"better"}
    assert looks[-1].teachers[0].seeds == first
    assert looks[-1].seeds == until.most


def test_a_teacher_that_cannot_reach_the_effect_is_futile() -> None:
    same = {"a": Pairs([0.0005, -0.0005] * 12)}
    assert monitor(Until(effect=1.0), same)[0].teachers[0].decision == "futile"
    assert monitor(Until(effect=0.01, worse=True), same)[-1].teachers[0].decision == "undecided"


def test_a_teacher_that_seems_worse_stops_or_goes_on_as_the_rule_says() -> None:
    bad = {"a": Pairs(stream(7, "bad").normal(-0.06, 0.005, 24).tolist())}
    shipped, both = (monitor(Until(worse=worse), bad)[-1].teachers[0] for worse in (False, True))
    assert (shipped.decision, shipped.seeds) == ("futile", 3)
    assert (both.decision, both.seeds) == ("worse", min(levels(Until().looks, 1)))


def test_the_last_one_left_is_not_tested_as_if_it_had_been_alone() -> None:
    """Five stop at the first look. The p of the sixth is that of a board of six, and not that of a board of one."""
    steady = [0.01, -0.01, 0.009, -0.009, 0.008, -0.008] * 4
    quiet = {f"q{j}": Pairs(stream(j, "quiet").permutation(steady).tolist()) for j in range(5)}
    left = Pairs([0.02, 0.004, 0.015, -0.006, 0.012, 0.009] * 4)
    until = Until(first=6, group=6, effect=0.9)
    six, one = (monitor(until, board)[1].teachers[0] for board in ({"left": left, **quiet}, {"left": left}))
    assert {judged.seeds for judged in monitor(until, {"left": left, **quiet})[1].teachers[1:]} == {6}
    assert six.p_adjusted is not None
    assert one.p_adjusted is not None
    assert six.p_adjusted > 2 * one.p_adjusted


def test_seeds_on_which_the_baseline_failed_are_no_pairs() -> None:
    values = [None, *stream(5, "pairs").normal(0.05, 0.01, 23).tolist()]
    look = monitor(Until(), {"a": Pairs(values)})[0]
    assert (look.teachers[0].seeds, look.teachers[0].pairs) == (Until().first, Until().first - 1)
    nothing = monitor(Until(), {"a": Pairs([None] * 24), "b": Pairs(values)})
    assert nothing[-1].teachers[0].decision == "undecided"
    assert nothing[-1].teachers[0].p_sequential == 1.0


def test_equal_differences_are_judged_by_sign_flips() -> None:
    looks = monitor(Until(worse=True), {"a": Pairs([-0.1] * 24)})
    first = min(levels(Until().looks, 1))
    assert (looks[-1].teachers[0].decision, looks[-1].seeds) == ("worse", first)
    assert looks[-1].teachers[0].p_adjusted == 2.0 ** (1 - first)


def test_a_draw_of_items_is_not_taken_for_a_gain() -> None:
    """Every seed gains by the same items: over new seeds that is certain, and over new items it is not."""
    ahead = np.zeros((24, 20))
    ahead[:, 0] = 1 + 0.01 * stream(0, "items").standard_normal(24)
    values = ahead.mean(1).tolist()
    until = Until(effect=0.1)
    assert monitor(until, {"a": Pairs(values)})[-1].teachers[0].decision == "better"
    crossed = monitor(until, {"a": Pairs(values, list(ahead), (20,))})[-1].teachers[0]
    assert crossed.decision == "undecided"
    assert crossed.low is not None
    assert crossed.low < 0


def test_a_part_of_the_simulation_holds(prove: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["--quick"]) == 0
    shown = capsys.readouterr().out
    assert "DOES NOT HOLD" not in shown
    assert shown.count("holds:") > 10


def only_normal(prove: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate the shipped rule under the normal law alone."""
    monkeypatch.setattr(prove, "SYMMETRIC", {"normal": prove.SYMMETRIC["normal"]})
    monkeypatch.setattr(prove, "SKEW", {})
    monkeypatch.setattr(prove, "FURTHER", {})
    name = "until decided, nobody futile"
    monkeypatch.setattr(prove, "PROCEDURES", {name: prove.PROCEDURES[name]})


def test_a_test_that_is_repeated_naively_is_caught(prove: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    only_normal(prove, monkeypatch)
    monkeypatch.setattr(sequential, "sequential_p", lambda p, n, teachers, looks: p)
    assert not all(prove.level(300, 0).values())


def test_a_board_that_is_not_corrected_for_its_teachers_is_caught(
    prove: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_normal(prove, monkeypatch)
    monkeypatch.setattr(sequential, "corrected", lambda p, differences: dict(p))
    assert not all(prove.level(200, 0).values())
