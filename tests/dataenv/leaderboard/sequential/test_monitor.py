"""Seeds until decided: boundaries against published ones, decisions as a pure function, and the simulation, in part."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dataenv.leaderboard.config import Until
from dataenv.leaderboard.sequential import monitor as sequential
from dataenv.leaderboard.sequential.monitor import bound_at, crossing, monitor, sequential_p, shape
from tasks.records import stream

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture
def prove(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE"):  # tests/bench/common.py sets them
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("DATAENV_STORE", raising=False)
    monkeypatch.syspath_prepend(BENCH)
    for name in ("common", "prove_sequential", "worlds"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import prove_sequential

    return prove_sequential


PUBLISHED = [(0.0, 2, 1.977), (0.0, 4, 2.024), (0.0, 5, 2.040), (0.5, 2, 2.178), (0.5, 4, 2.361), (0.5, 5, 2.413)]


@pytest.mark.parametrize(("delta", "looks", "published"), PUBLISHED)
def test_boundaries_are_the_published_ones(
    delta: float, looks: int, published: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O'Brien and Fleming (1979) and Pocock (1977) at equal steps, two-sided 5 %."""
    monkeypatch.setattr(sequential, "DELTA", delta)
    assert crossing(published, tuple(range(1, looks + 1))) == pytest.approx(0.05, abs=1e-4)


def test_one_look_is_a_plain_test() -> None:
    assert crossing(1.959964, (24,)) == pytest.approx(0.05, abs=1e-6)


def test_a_crossing_is_as_frequent_as_it_says() -> None:
    looks = Until().looks
    sums = stream(0, "walk").standard_normal((20_000, looks[-1])).cumsum(1)
    z = np.array([np.abs(sums[:, n - 1]) / n**0.5 / shape(n, looks[-1]) for n in looks]).max(0)
    assert (z > bound_at(0.05, looks)).mean() == pytest.approx(0.05, abs=0.006)
    for bound in (1.5, 2.0, 3.0):
        assert sequential_p(bound, looks) == pytest.approx(crossing(bound, looks), rel=1e-3)


def test_a_sequential_p_never_rises_and_is_above_that_of_the_look() -> None:
    until = Until(effect=1e-6)
    for i in range(40):
        differences = stream(i, "p").normal(0.004, 0.01, until.most).tolist()
        judged = [look.teachers[0] for look in monitor(until, {"a": differences})]
        ps = [one.p_sequential for one in judged]
        assert ps == sorted(ps, reverse=True)
        assert all(one.p is not None and one.p_sequential > min(a.p or 1.0 for a in judged) for one in judged)


def test_it_is_the_same_for_the_other_direction_and_in_another_unit() -> None:
    drawn = stream(1, "mirror").normal(0.01, 0.01, 24)
    up, down = (monitor(Until(effect=0.5), {"a": (sign * drawn).tolist()}) for sign in (1, -1))
    assert [a.teachers[0].p_sequential for a in up] == [b.teachers[0].p_sequential for b in down]
    assert (up[-1].teachers[0].decision, down[-1].teachers[0].decision) == ("better", "worse")
    large = monitor(Until(effect=5.0), {"a": (10 * drawn).tolist()})
    assert [a.teachers[0].p_sequential for a in large] == [b.teachers[0].p_sequential for b in up]


def test_names_and_order_of_teachers_decide_nothing() -> None:
    drawn = {name: stream(2, name).normal(gain, 0.01, 24).tolist() for name, gain in
             (("a", 0.02), ("b", 0.0), ("c", -0.02), ("d", 0.005))}  # fmt: skip
    one, other = (monitor(Until(effect=0.8), dict(items)) for items in (drawn.items(), reversed(drawn.items())))
    assert [sorted(a.teachers, key=lambda t: t.teacher) for a in one] == [
        sorted(b.teachers, key=lambda t: t.teacher) for b in other
    ]


def test_what_comes_after_a_look_changes_nothing_that_it_said() -> None:
    drawn = {name: stream(3, name).normal(0, 0.01, 24).tolist() for name in ("a", "b", "c")}
    whole = monitor(Until(effect=0.4), drawn)
    for n in range(25):
        part = monitor(Until(effect=0.4), {name: values[:n] for name, values in drawn.items()})
        assert part == whole[: len(part)]
        assert len(part) >= sum(look.seeds <= n for look in whole)


def test_who_is_decided_stays_so_and_needs_no_further_seeds() -> None:
    clear = stream(4, "clear").normal(0.05, 0.01, 6).tolist()
    close = [0.004, -0.002] * 12
    looks = monitor(Until(effect=0.1), {"clear": clear, "close": close})
    assert [look.teachers[0].decision for look in looks] == ["better"] * len(looks)
    assert looks[-1].teachers[0].seeds == 6
    assert looks[-1].seeds == 24


def test_a_teacher_that_cannot_reach_the_effect_is_futile() -> None:
    same = [0.0005, -0.0005] * 12
    assert monitor(Until(effect=1.0), {"a": same})[0].teachers[0].decision == "futile"
    assert monitor(Until(effect=0.01), {"a": same})[-1].teachers[0].decision == "undecided"


def test_seeds_on_which_the_baseline_failed_are_no_pairs() -> None:
    drawn = [None, *stream(5, "pairs").normal(0.05, 0.01, 23).tolist()]
    look = monitor(Until(), {"a": drawn})[0]
    assert (look.teachers[0].seeds, look.teachers[0].pairs) == (6, 5)
    nothing = monitor(Until(), {"a": [None] * 24})
    assert nothing[-1].teachers[0].decision == "undecided"
    assert nothing[-1].teachers[0].p_holm == 1.0


def test_equal_differences_are_judged_by_sign_flips() -> None:
    looks = monitor(Until(effect=5.0), {"a": [-0.1] * 24})
    assert looks[0].teachers[0].p == 2.0**-5
    assert looks[-1].teachers[0].decision == "worse"


def test_the_guard_forbids_what_one_collapse_would_undo() -> None:
    drawn = stream(6, "guard").normal(0.02, 0.01, 24).tolist()
    guarded = monitor(Until(effect=0.5, guard=True), {"a": drawn}, [-0.3] * 24)
    assert monitor(Until(effect=0.5), {"a": drawn})[-1].teachers[0].decision == "better"
    assert guarded[-1].teachers[0].decision != "better"
    shallow = monitor(Until(effect=0.5, guard=True), {"a": drawn}, [-0.001] * 24)
    assert shallow[-1].teachers[0].decision == "better"


def test_a_part_of_the_simulation_holds(prove: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["--quick"]) == 0
    shown = capsys.readouterr().out
    assert "DOES NOT HOLD" not in shown
    assert shown.count("holds:") > 10


def naive(statistic: float, looks: tuple[int, ...]) -> float:
    """The p of one look, as if there were no others."""
    return math.erfc(statistic * shape(looks[-2], looks[-1]) / 2**0.5)


def test_a_naive_repeated_t_test_is_caught(prove: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential, "sequential_p", naive)
    monkeypatch.setattr(prove, "WORLDS", {"normal": prove.WORLDS["normal"]})
    name = "until decided (shipped)"
    monkeypatch.setattr(prove, "PROCEDURES", {name: prove.PROCEDURES[name]})
    assert not all(prove.level(200, 0).values())


def test_a_board_without_holm_is_caught(prove: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential, "holm", dict)
    monkeypatch.setattr(prove, "WORLDS", {"normal": prove.WORLDS["normal"]})
    name = "until decided (shipped)"
    monkeypatch.setattr(prove, "PROCEDURES", {name: prove.PROCEDURES[name]})
    assert not all(prove.level(200, 0).values())
