"""A fourth level is one file and one line; and an action may name a recipe of the Setting's menu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.errors import ActionError, SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.lessons.engines import Request, blended, engine_of
from dataenv.lessons.offer import Offer
from dataenv.lessons.scene import Scene
from dataenv.levels import Level, Plan, View
from dataenv.setting import Setting, make_setting
from tests.toys import TOYS

pytestmark = pytest.mark.usefixtures("toys")


class OneSkill(Level):
    """The action is the number of one skill, from 1; 0 stops."""

    name = "one-skill"
    state = ("score",)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._engine = engine_of(setting)
        self.action_space = spaces.Discrete(len(self.skills) + 1)
        self.observation_space = spaces.Dict({"score": spaces.Box(0, 1, (1,), np.float32)})

    def read(self, action: Any, memory: Mapping[str, Any]) -> Plan:
        if not 0 <= int(action) <= len(self.skills):
            raise ActionError(f"action is {action}; give 0 to {len(self.skills)}")
        return Plan(stop=True) if int(action) == 0 else Plan(lesson=self.skills[int(action) - 1])

    def make(self, plan: Plan, scene: Scene) -> Offer:
        return Offer(blended(self._engine, [Request(plan.lesson, scene.lesson_size)], scene), scene.lessons)

    def observe(self, view: View, memory: Mapping[str, Any]) -> dict[str, Any]:
        return {"score": np.array([view.score], np.float32)}


@pytest.fixture
def one_skill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["level"], "one-skill", OneSkill)


def test_a_fourth_level_is_one_class_and_one_line(one_skill: None) -> None:
    env = gym.make("dataenv/SkillList-v0", level="one-skill", **TOYS)
    env.reset(seed=0)
    observation, *_ = env.step(2)
    inner = env.unwrapped
    assert isinstance(inner, TeachingEnv)
    assert observation in env.observation_space
    assert {e.skills[0] for e in inner.runner.store.lesson(inner.snapshot().lessons[0])} == {"long"}
    with pytest.raises(ActionError, match="give 0 to 2"):
        env.step(3)
    assert env.step(0)[2], "the empty action ends the episode"


def test_a_fourth_level_forks_and_is_restored(one_skill: None) -> None:
    env = TeachingEnv("one-skill", runner=Runner(Store()), setting=make_setting(TOYS))
    env.reset(seed=0)
    env.step(1)
    branch = dataenv.fork(env)
    branch.step(2)
    env.step(2)
    assert branch.snapshot() == env.snapshot()


def test_a_teacher_of_a_fourth_level_plays(one_skill: None) -> None:
    class Turns:
        level = "one-skill"

        def act(self, observation: Any, info: Any) -> int:
            return 1 + info["step"] % 2

    env = TeachingEnv("one-skill", runner=Runner(Store()), **(TOYS | {"budget": {"student_tokens": 400}}))
    episode = dataenv.run(env, Turns(), seed=0)
    assert episode.steps[-1].ended in ("spent", "mastered")
    assert len(episode.steps) > 2


def test_an_unknown_level_is_told_with_the_nearest() -> None:
    with pytest.raises(SettingError, match="level 'skil-list' is not registered; did you mean 'skill-list'"):
        TeachingEnv("skil-list", **TOYS)
    with pytest.raises(SettingError, match=r"is no subclass of dataenv\.levels\.base\.Level"):
        TeachingEnv("tests.toys:Reverse", **TOYS)


MENU: dict[str, Any] = TOYS | {"recipes": {"long": {"updates": 9, "batch": 4}}}
ACTIONS: dict[str, tuple[str, Any]] = {
    "open-ended": ("examples", ({"prompt": "abc>", "response": "cba"}, {"prompt": "abd>", "response": "dba"})),
    "skill-list": ("mixture", np.ones(2, np.float32)),
}


def updates(env: TeachingEnv) -> int:
    """Updates that the last training made, as the store wrote them down."""
    row = env.runner.store.get("states", env.state)
    return int(row["trained"]["updates"])


@pytest.mark.parametrize("level", sorted(ACTIONS))
def test_an_action_may_name_a_recipe_of_the_menu(level: str) -> None:
    key, action = ACTIONS[level]
    env = TeachingEnv(level, runner=Runner(Store()), setting=make_setting(MENU))
    env.reset(seed=0)
    env.step(action)
    assert updates(env) == 3
    env.step({key: action, "recipe": "long"})
    assert updates(env) == 9


def test_a_forests_action_may_name_one_too() -> None:
    env = TeachingEnv("skill-tree", runner=Runner(Store()), setting=make_setting(MENU | {"task": "branching"}))
    env.reset(seed=0)
    k, m = env.level.forest.shape  # type: ignore[attr-defined]
    action = {"explore": np.ones(k, np.int64), "data": np.ones(k, np.float32), "allocation": np.zeros((k, m))}
    env.step(action | {"recipe": "long"})
    assert updates(env) == 9


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"mixture": np.ones(2, np.float32), "recipe": "lang"}, "recipe'] is 'lang'; did you mean 'long'"),
        ({"weights": np.ones(2, np.float32), "recipe": "long"}, "give 'mixture' and 'recipe'"),
        ({"recipe": "long"}, "give 'mixture' and 'recipe'"),
    ],
)
def test_what_is_no_action_beside_a_recipe(action: Any, said: str) -> None:
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(MENU))
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(ActionError, match=said):
        env.step(action)
    assert env.snapshot() == before


def test_beside_a_menu_an_action_may_stand_in_a_mapping_without_a_recipe() -> None:
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(MENU))
    env.reset(seed=0)
    env.step({"mixture": np.ones(2, np.float32)})
    assert updates(env) == 3


def test_a_level_that_lacks_a_method_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(OneSkill):
        name = "half"
        make = Level.make  # type: ignore[assignment]

    monkeypatch.setitem(registry._HERE["level"], "half", Half)
    with pytest.raises(SettingError, match="level 'half' lacks make"):
        TeachingEnv("half", **TOYS)


def test_without_a_menu_a_mapping_is_no_mixture() -> None:
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(TOYS))
    env.reset(seed=0)
    with pytest.raises(ActionError, match="action is a dict"):
        env.step({"mixture": np.ones(2, np.float32), "recipe": "long"})


DPO = {"method": "dpo", "updates": 3, "batch": 4}
PAIRED: dict[str, Any] = TOYS | {"task": "branching", "student": "pocket", "warm_start": {"examples": 0}}


@pytest.mark.parametrize("level", ["skill-list", "skill-tree"])
def test_a_recipe_for_pairs_is_for_who_brings_them(level: str) -> None:
    """An engine makes no pairs, and a lesson of none would be paid for nothing."""
    with pytest.raises(SettingError, match="recipe is of method 'dpo' for pairs, and no engine makes pairs"):
        TeachingEnv(level, **PAIRED | {"recipe": DPO})
    TeachingEnv("open-ended", **PAIRED | {"recipe": DPO})


def test_one_on_the_menu_is_refused_when_it_is_asked_for() -> None:
    """Teachers of several levels share the menu of a board."""
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=make_setting(PAIRED | {"recipes": {"pairs": DPO}}))
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(ActionError, match="'pairs', which is for pairs, and no engine makes them"):
        env.step({"mixture": np.ones(2, np.float32), "recipe": "pairs"})
    assert env.snapshot() == before
