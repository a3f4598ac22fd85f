"""Sign flips: exact p by brute force, uniform under the null, and nothing that depends on names, signs or units."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.leaderboard.statistics.sign_flips import DRAWN, EXACT, flips, sign_flips

values = st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 3))
families = st.integers(2, 7).flatmap(
    lambda n: st.lists(st.lists(values, min_size=n, max_size=n), min_size=1, max_size=4)
)


def family(rows: list[list[float]]) -> dict[str, dict[int, float]]:
    return {f"t{j}": dict(enumerate(row)) for j, row in enumerate(rows)}


@given(st.lists(values, min_size=2, max_size=7))
def test_one_teacher_is_the_plain_test_over_all_flips(differences: list[float]) -> None:
    mean = abs(sum(differences))
    every = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(differences))]
    assert sign_flips(family([differences]))["t0"] == pytest.approx(np.mean(np.array(every) >= mean * (1 - 1e-9)))


@given(families, st.floats(0.01, 100))
def test_names_signs_units_and_seeds_play_no_part(rows: list[list[float]], unit: float) -> None:
    p = sign_flips(family(rows))
    n = len(rows[0])
    turned = {f"x{9 - j}": {n - s: -unit * d for s, d in enumerate(row)} for j, row in enumerate(rows)}
    again = sign_flips(turned)
    assert [again[f"x{9 - j}"] for j in range(len(rows))] == pytest.approx([p[f"t{j}"] for j in range(len(rows))])
    assert all(2.0 ** (1 - n) <= value <= 1 for value in p.values())


def test_p_is_uniform_under_the_null_and_the_family_keeps_its_level() -> None:
    """Under symmetric differences P(p <= k/32) is k/32 for one teacher; a family's smallest keeps to its level."""
    rng, boards = np.random.default_rng(0), 3000
    one = np.array([sign_flips(family([list(rng.standard_t(3, 6))]))["t0"] for _ in range(boards)])
    for k in (1, 4, 16):
        assert (one <= k / 32 + 1e-12).mean() == pytest.approx(k / 32, abs=4 * (k / 32 / boards) ** 0.5)
    drawn = rng.standard_normal((boards, 4, 6)) * [[1], [1], [3], [0.2]] - rng.standard_normal((boards, 1, 6))
    least = np.array([min(sign_flips(family(rows.tolist())).values()) for rows in drawn])
    assert (least <= 0.05).mean() < 0.05


def test_equal_differences_and_nearly_equal_ones_say_the_same() -> None:
    """A t statistic jumps from none to infinite there; with six seeds a flip p stays at its floor, 1/32."""
    for last in (1.0, 0.999):
        p = sign_flips(family([[1.0] * 5 + [last], [0.3, -0.2, 0.1, -0.4, 0.2, 0.1]]))
        assert p["t0"] == 1 / 32
        assert p["t1"] > 0.05
    assert sign_flips(family([[0.0] * 6]))["t0"] == 1.0


def test_a_teacher_that_hides_its_collapses_does_not_look_steady_beside_others() -> None:
    """Alone, six small gains are the smallest p; beside teachers that vary by ten times as much they are not."""
    rng = np.random.default_rng(3)
    gambler = [1.0, 1.1, 0.9, 1.2, 0.8, 1.0]
    others = (10 * rng.standard_normal((5, 6))).tolist()
    assert sign_flips(family([gambler]))["t0"] == 1 / 32
    assert sign_flips(family([gambler, *others]))["t0"] > 0.05


def test_a_terrible_teacher_takes_nothing_from_a_good_one() -> None:
    good, null = [3.0, 4.0, 3.5, 2.5, 3.8, 3.1], [0.5, -0.6, 0.4, -0.2, 0.3, -0.5]
    terrible = [-40.0, -41.0, -39.5, -40.5, -40.2, -39.8]
    assert sign_flips(family([good, null, terrible]))["t0"] == 1 / 32


def test_teachers_may_lack_seeds_and_have_none() -> None:
    p = sign_flips({"a": dict.fromkeys(range(6), 1.0), "b": {0: 1.0, 1: 1.0}, "c": {}})
    assert p["a"] == 1 / 32
    assert p["b"] >= 0.5
    assert p["c"] == 1.0
    assert sign_flips({}) == {}


def test_more_than_twelve_seeds_are_a_fixed_sample_with_the_observed_signs() -> None:
    assert flips(EXACT).shape == (2 ** (EXACT - 1), EXACT)
    many = flips(EXACT + 8)
    assert many.shape == (DRAWN, EXACT + 8)
    assert (many[0] == 1).all()
    assert (many == flips(EXACT + 8)).all()
    p = sign_flips(family([[0.5] * 20, list(np.random.default_rng(0).standard_normal(20))]))
    assert p["t0"] < 0.01 < 0.05 < p["t1"]
