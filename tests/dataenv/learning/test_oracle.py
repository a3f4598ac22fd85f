"""The oracle is exact over its menu, its bound holds, and what an episode came to is measured by the same rule."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.learning.oracle import Course, best_schedule, expected, refine
from dataenv.setting import make_setting
from tests.tiny import TINY

SMALL: dict[str, Any] = {
    "student": "simulated",
    "warm_start": {"examples": 200, "recipe": {"updates": 60}},
    "lesson_size": 160,
    "items": {"feedback": 2, "selection": 2, "test": 1, "transfer": 0},
    "budget": {"student_tokens": 480_000},
}
SETTING = make_setting(SMALL)
K = len(SETTING.built_task.skills)
MENU = np.random.default_rng(3).dirichlet(np.full(K, 0.4), 3)


def test_no_schedule_of_the_menu_is_worth_more() -> None:
    """Against all 3^6 of them, of which the last lessons cannot be paid for."""
    course = Course(SETTING, 0)
    every = MENU[np.array(list(itertools.product(range(3), repeat=6)))]
    values = course.value(every)
    found = best_schedule(SETTING, 0, MENU)
    assert found.value == pytest.approx(values.max(), abs=1e-12)
    assert course.value(found.mixtures[None])[0] == pytest.approx(found.value, abs=1e-12)
    assert len(np.unique(values.round(12))) > 100, "the order of lessons matters here"
    assert found.looked < 3 + sum(3**t for t in range(1, 7))


def test_the_bound_is_above_whatever_follows() -> None:
    course = Course(SETTING, 1)
    at = course.begin(1)
    bounds = [float(course.bound(at, MENU)[0])]
    for mixture in MENU:
        at = course.teach(at, mixture[None])
        bounds.append(float(course.bound(at, MENU)[0]))
    every = MENU[np.array([(0, 1, 2, *rest) for rest in itertools.product(range(3), repeat=3)])]
    assert min(bounds) >= course.value(every).max()
    assert bounds == sorted(bounds, reverse=True)


def test_refining_climbs_and_gives_a_schedule_that_is_worth_what_it_says() -> None:
    menu = best_schedule(SETTING, 0, MENU)
    better = refine(SETTING, 0, menu, rounds=8)
    assert better.value > menu.value
    assert Course(SETTING, 0).value(better.mixtures[None])[0] == pytest.approx(better.value)
    np.testing.assert_allclose(better.mixtures.sum(1), 1)


@pytest.mark.parametrize("recipe", [{}, {"cooldown": 20}], ids=["plain", "cooled down"])
def test_an_episode_of_the_oracles_lessons_comes_to_what_the_oracle_says(recipe: dict[str, Any]) -> None:
    """Played in the environment, with real examples: lessons are whole numbers of them, so it is near and not equal."""
    fields = SMALL | {"recipe": recipe}
    found = best_schedule(make_setting(fields), 0, MENU)
    env = TeachingEnv(**fields)
    env.reset(seed=0)
    for mixture in found.mixtures:
        if not env.snapshot().ended:
            env.step((mixture / mixture.max()).astype(np.float32))
    assert expected(env) == pytest.approx(found.value, abs=0.01)


@pytest.mark.parametrize(
    ("menu", "words"),
    [
        (np.ones((2, 3)), r"menu has shape \(2, 3\); give \(m, 16\)"),
        (-np.ones((1, K)), "give .* non-negative numbers"),
        (np.zeros((1, K)), "menu has a row of zeros"),
    ],
)
def test_a_bad_menu_is_one_sentence(menu: np.ndarray, words: str) -> None:
    with pytest.raises(dataenv.SettingError, match=words):
        best_schedule(SETTING, 0, menu)


def test_regret_is_of_simulated_students_alone() -> None:
    with pytest.raises(dataenv.SettingError, match="student is 'pocket'; regret to the oracle is of 'simulated' alone"):
        expected(TeachingEnv(**TINY))


def test_the_oracle_looks_at_the_targets_of_the_setting() -> None:
    """What is worth most for one skill is not what is worth most for all, and an episode is measured by the same."""
    target = SETTING.built_task.skills[3]
    setting = SETTING.changed(targets=(target,))
    menu = np.stack([np.ones(K), np.eye(K)[3], np.eye(K)[5]])
    found, for_all = best_schedule(setting, 0, menu), best_schedule(SETTING, 0, menu)
    course = Course(setting, 0)
    every = course.value(menu[np.array(list(itertools.product(range(3), repeat=4)))] / menu.sum(1).max())
    assert found.value >= every.max() - 1e-12
    assert course.value(found.mixtures[None])[0] == pytest.approx(found.value, abs=1e-12)
    assert found.value > course.value(for_all.mixtures[None])[0]
    env = TeachingEnv("skill-list", store="off", setting=setting)
    env.reset(seed=0)
    for mixture in found.mixtures:
        if any(env.step(mixture.astype(np.float32))[2:4]):
            break
    taught = found.mixtures[None, : len(env.history) - 1]
    assert expected(env) == pytest.approx(course.value(taught)[0], abs=1e-6)
