"""The menu: what a lesson that asked for another recipe trains, is screened for, and costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.errors import ActionError
from dataenv.execution.lineage import read as made_by
from dataenv.setting import make_setting
from students.base import Recipe
from tasks.records import stream
from tests.tiny import TINY

MENU: dict[str, Any] = {
    "slow": TINY["recipe"] | {"rate": 1e-4, "updates": 2},
    "pairs": {"method": "dpo", "updates": 2, "batch": 8, "rate": 1e-3},
    "practice": {"method": "grpo", "updates": 2, "batch": 16, "rate": 1e-3, "grpo": {"group": 4}},
}
EVEN = np.ones(16, np.float32)


def make(level: str = "skill-list", **changes: Any) -> TeachingEnv:
    env = TeachingEnv(level, store="off", **TINY | {"recipes": MENU} | changes)
    env.reset(seed=0)
    return env


def trained_by(env: TeachingEnv) -> Recipe:
    store = env.runner.store
    training = made_by(store.get("states", env.state), store).train
    assert training is not None
    return training.recipe


def test_a_mixture_is_taught_by_the_recipe_that_is_asked_for() -> None:
    plain, slow, practised = make(), make(), make()
    plain.step(EVEN)
    *_, info = slow.step({"mixture": EVEN, "recipe": "slow"})
    assert info["updates"] == 2
    assert (trained_by(plain).rate, trained_by(slow).rate) == (TINY["recipe"]["rate"], 1e-4)
    assert plain.history[-1].lesson == slow.history[-1].lesson, "the same lesson"
    assert plain.state != slow.state
    assert slow.purse.spent == info["price"]
    assert info["price"] == pytest.approx(plain.purse.spent * 2 / TINY["recipe"]["updates"], rel=0.1)
    practised.step({"mixture": EVEN, "recipe": "practice"})
    assert practised.history[-1].practice is not None
    slow.step(EVEN)
    assert trained_by(slow).rate == TINY["recipe"]["rate"], "it holds for one lesson"


def test_examples_are_taught_by_the_recipe_that_is_asked_for() -> None:
    env = make("open-ended")
    made = env.task.generate("max", 6, stream(0, "pairs"))
    pairs = tuple(e.model_copy(update={"rejected": e.response[::-1] + "0"}) for e in made)
    env.step({"examples": pairs, "recipe": "pairs"})
    assert env.history[-1].kept == 6
    assert trained_by(env).method == "dpo"
    *_, info = env.step({"examples": tuple(made), "recipe": "pairs"})
    assert info["rejected/form"] == 6, "and the screen asks for what that recipe takes"


def test_a_snapshot_after_it_goes_on() -> None:
    env, other = make(), make()
    env.step({"mixture": EVEN, "recipe": "slow"})
    fork = dataenv.fork(env)
    env.step({"mixture": EVEN, "recipe": "practice"})
    fork.step({"mixture": EVEN, "recipe": "practice"})
    other.step({"mixture": EVEN, "recipe": "slow"})
    other.step({"mixture": EVEN, "recipe": "practice"})
    assert env.state == fork.state == other.state
    assert env.purse.spent == other.purse.spent


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"mixture": EVEN, "recipe": "slwo"}, r"action\['recipe'\] is 'slwo'; did you mean 'slow'"),
        ({"mixture": EVEN, "recipe": 7}, r"action\['recipe'\] is 7"),
        ({"mixture": EVEN, "recipe": ["slow"]}, r"action\['recipe'\] is \['slow'\]"),
        ({"mixture": EVEN, "recipe": None}, r"action\['recipe'\] is None"),
        ({"weights": EVEN, "recipe": "slow"}, "give 'mixture' and 'recipe'"),
        ({"recipe": "slow"}, "give 'mixture' and 'recipe'"),
    ],
)
def test_what_is_on_no_menu_is_refused_and_costs_nothing(action: Any, said: str) -> None:
    env = make()
    before = env.snapshot()
    with pytest.raises(ActionError, match=said):
        env.step(action)
    assert env.snapshot() == before


def test_without_a_menu_an_action_is_what_it_was() -> None:
    env = make(recipes={})
    with pytest.raises(ActionError):
        env.step({"mixture": EVEN, "recipe": "slow"})
    assert "recipes" not in env.setting.model_dump(mode="json")
    assert env.setting.digest == make_setting(TINY).digest != make_setting(TINY | {"recipes": MENU}).digest
