"""Seeds and items crossed: components by hand, the t test where items add nothing, and coverage of drawn items."""

from __future__ import annotations

import numpy as np
import pytest

from dataenv.leaderboard.statistics.crossed import crossed
from dataenv.leaderboard.statistics.formulas import paired_t


def test_where_items_add_nothing_it_is_the_paired_t() -> None:
    by_seed = np.array([0.02, 0.05, -0.01, 0.03, 0.06, 0.01])
    both, t = crossed(np.repeat(by_seed[:, None], 12, axis=1), (6, 6)), paired_t(by_seed.tolist())
    assert both is not None
    assert (both.low, both.high, both.p) == (pytest.approx(t.low), pytest.approx(t.high), pytest.approx(t.p))
    assert both.visible == pytest.approx(t.visible)
    assert both.degrees == pytest.approx(5)


def test_the_components_by_hand() -> None:
    # Seeds all alike: items 1, 0, 0, 1 of one skill. Their variance 1/3 over 4 items; seeds add nothing.
    both = crossed(np.array([[1.0, 0, 0, 1]] * 3), (4,))
    assert both is not None
    assert both.error**2 == pytest.approx(1 / 12)
    assert both.degrees == pytest.approx(3)
    # Two skills: the macro mean's variance is the mean of theirs over 2.
    both = crossed(np.array([[1.0, 0, 0, 1, 0, 0]] * 3), (4, 2))
    assert both is not None
    assert both.error**2 == pytest.approx((1 / 12 + 0) / 4)


def test_the_mean_is_macro_and_its_interval_is_around_it() -> None:
    differences = np.random.default_rng(1).choice((-1.0, 0.0, 1.0), (6, 30))
    both = crossed(differences, (10, 20))
    macro = (differences[:, :10].mean() + differences[:, 10:].mean()) / 2
    assert both is not None
    assert (both.low + both.high) / 2 == pytest.approx(macro)


def test_the_other_way_round_and_in_another_order_it_is_the_same() -> None:
    rng = np.random.default_rng(2)
    differences = rng.normal(0.1, 1, (5, 12))
    both, turned = crossed(differences, (6, 6)), crossed(-differences, (6, 6))
    shuffled = crossed(differences[::-1][:, [*rng.permutation(6), *(6 + rng.permutation(6))]], (6, 6))
    assert both is not None
    assert turned is not None
    assert shuffled is not None
    assert (turned.low, turned.p) == (pytest.approx(-both.high), pytest.approx(both.p))
    assert shuffled == pytest.approx(both)


@pytest.mark.parametrize(("shape", "items"), [((1, 6), (6,)), ((6, 3), (1, 1, 1)), ((0, 0), ())])
def test_one_seed_or_single_items_say_nothing(shape: tuple[int, int], items: tuple[int, ...]) -> None:
    assert crossed(np.zeros(shape), items) is None


def test_no_difference_at_all_is_p_one_and_the_same_everywhere_is_zero() -> None:
    none, all_of_it = crossed(np.zeros((3, 4)), (4,)), crossed(np.ones((3, 4)), (4,))
    assert none is not None
    assert all_of_it is not None
    assert (none.p, all_of_it.p) == (1.0, 0.0)


def test_new_seeds_and_new_items_are_covered() -> None:
    """A true gain of 5 points; seeds, items and their interplay vary. The paired t covers new items far less often."""
    rng, covered, by_t = np.random.default_rng(0), 0, 0
    for _ in range(400):
        drawn = 0.05 + 0.03 * rng.standard_normal((6, 1)) + 0.4 * rng.standard_normal((1, 80))
        drawn = drawn + 0.3 * rng.standard_normal((6, 80))
        both, t = crossed(drawn, (40, 40)), paired_t(drawn.mean(axis=1).tolist())
        assert both is not None
        covered += both.low <= 0.05 <= both.high
        by_t += t.low <= 0.05 <= t.high
    assert covered >= 0.92 * 400
    assert by_t < 0.85 * 400
