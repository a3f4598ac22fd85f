"""The skill-tree level: what a move does to the forest, what the next fine-tune sees of it, and old defects."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dataenv
from dataenv import registry
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.lessons.scene import Scene
from dataenv.levels.forest import Forest
from dataenv.levels.skill_tree import SkillTree
from dataenv.setting import make_setting
from tasks.records import Example
from tests.toys import BRANCHING, Branching

pytestmark = pytest.mark.usefixtures("toys")
NAMES = (("a-m", "n-z"), ("a-h", "i-q", "r-z"))


def make(**changes: Any) -> TeachingEnv:
    env = TeachingEnv("skill-tree", runner=Runner(Store()), setting=make_setting(BRANCHING | changes))
    env.reset(seed=0)
    return env


def move(explore: Any = (0, 0), data: Any = (1, 1), allocation: Any = ((0, 0, 0), (0, 0, 0))) -> dict[str, Any]:
    return {
        "explore": np.array(explore),
        "data": np.array(data, np.float32),
        "allocation": np.array(allocation, np.float32),
    }


ALL = move(explore=(2, 3))


def trained(env: TeachingEnv, action: Any) -> np.ndarray:
    """What the fine-tune of an action sees, by subskill; the step is made to its end."""
    assert isinstance(env.level, SkillTree)
    job = env.begin(action)
    assert job is not None
    assert job.train is not None
    env.end(env.runner.run(job))
    return env.level.forest.count([job.train.lesson])


# --- moves


def test_a_forest_starts_with_nothing_grown() -> None:
    env = make()
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    for field in ("grown", "allocation", "subskill_counts", "subskill_accuracy"):
        assert observation[field].shape == (2, 3)
        assert not observation[field].any()
    assert observation["left"].tolist() == [2, 3]
    assert dataenv.Context(env).subskills("long") == NAMES[1]


def test_exploring_grows_in_order_and_keeps_what_there_is() -> None:
    env = make()
    observation, *_ = env.step(move(explore=(1, 2), data=(0.5, 1.0)))
    assert observation["grown"].tolist() == [[1, 0, 0], [1, 1, 0]]
    assert observation["allocation"].tolist() == [[0.5, 0, 0], [1, 1, 0]]
    assert observation["left"].tolist() == [1, 1]
    observation, *_ = env.step(move(explore=(1, 0), data=(0.25, 1), allocation=((0, 0, 0), (0.5, 0.125, 1))))
    assert observation["allocation"].tolist() == [[0.5, 0.25, 0], [0.5, 0.125, 0]], "the last place is not grown"
    observation, *_ = env.step(move(explore=(3, 3), data=(0, 0.5)))
    assert observation["grown"].tolist() == [[1, 1, 0], [1, 1, 1]], "as many as are left"
    assert observation["allocation"].tolist() == [[0.5, 0.25, 0], [0.5, 0.125, 0.5]]


def test_shares_of_the_lesson_are_those_of_the_allocation() -> None:
    env = make()
    assert trained(env, move(explore=(2, 1), data=(1, 1))).tolist() == [[4, 4, 0], [4, 0, 0]]
    assert trained(env, move(allocation=((0.5, 0, 0), (0.25, 0, 0)))).tolist() == [[8, 0, 0], [4, 0, 0]]


def test_lessons_hold_what_their_subskill_is() -> None:
    env = make()
    env.step(ALL)
    (lesson,) = env._taught.lessons
    for example in lesson:
        first, last = Branching.parts[example.skills[0]][example.origin.removeprefix("toy/")]
        assert first <= example.prompt[0] <= last


@pytest.mark.parametrize("action", [move(), move(allocation=((0, 0, 1), (0, 0, 0))), move(explore=(2, 3), data=(0, 0))])
def test_a_forest_without_data_stops_and_costs_nothing(action: Any) -> None:
    """The ancestor fine-tuned on no data at every second step of a policy that took all data away."""
    env = make()
    before = env.state
    _, reward, terminated, truncated, info = env.step(action)
    assert (terminated, truncated, float(reward), info["spent"], info["updates"]) == (True, False, 0.0, 0, 0)
    assert env.state == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"explore": np.array([0, 4])}, r"\['explore'\]\[1\] \(long\) is 4; give a whole number from 0 to 3, the most"),
        ({"explore": np.array([0, -1])}, r"\(long\) is -1; give a whole number from 0 to 3"),
        ({"explore": np.array([0.0, 1.0])}, r"holds float64; give 2 whole numbers"),
        ({"explore": np.array([1])}, r"has shape \(1,\)"),
        ({"explore": [[1], [1, 2]]}, r"\['explore'\] is a list; give 2 whole numbers"),
        ({"data": np.array([0.5, np.nan])}, r"\['data'\]\[1\] \(long\) is nan; give a number from 0 to 1"),
        ({"allocation": np.full((2, 3), 1.5)}, r"\['allocation'\]\[0\]\[0\] \(short\) is 1.5; give a number from 0"),
        ({"allocation": np.zeros((3, 2))}, r"has shape \(3, 2\); give shape \(2, 3\)"),
        ({"allocation": "much"}, r"is a str; give shape \(2, 3\)"),
        ({"allocation": np.full((2, 3), 0.5j)}, r"\['allocation'\] is a ndarray of complex128; give shape \(2, 3\)"),
        ({"data": np.array(["0.5", "1"])}, r"\['data'\] is a ndarray of str; give shape \(2,\)"),
        ({"data": [None, 1.0]}, r"\['data'\] is a list of object; give shape \(2,\)"),
        ({"prune": 1}, r"action is \['allocation', 'data', 'explore', 'prune'\]; give a dict of explore, data"),
    ],
)
def test_bad_actions_are_one_sentence_and_change_nothing(change: dict[str, Any], words: str) -> None:
    env = make()
    before = env.snapshot()
    with pytest.raises(dataenv.ActionError, match=words) as caught:
        env.step(ALL | change)
    assert "\n" not in str(caught.value)
    assert env.snapshot() == before
    with pytest.raises(dataenv.ActionError, match="action is ndarray; give a dict"):
        env.step(np.zeros(5))


# --- what the next fine-tune sees

ROWS = st.tuples(*[st.floats(0, 1, width=16)] * 5)


@settings(max_examples=20)
@given(st.lists(ROWS.filter(any), min_size=1, max_size=4))
def test_all_data_is_cut_to_the_allocation(rows: list[tuple[float, ...]]) -> None:
    """Under ``data="all"``: whatever was taught, the fine-tune sees the allocation, and as much as there can be."""
    setting = make_setting(BRANCHING | {"recipe": {"data": "all"}})
    forest = Forest(setting)
    snapshot = make().snapshot()
    lessons: list[tuple[Example, ...]] = []
    for step, row in enumerate(rows):
        shares = np.array([[*row[:2], 0], row[2:]]) / sum(row)
        have = forest.count(lessons)
        made = forest.compose(shares, Scene(setting, snapshot.model_copy(update={"step": step}), lessons), "all")
        new, sees = forest.count([tuple(made.examples)]), forest.count([*(made.seen or ()), tuple(made.examples)])
        assert len(made.examples) <= 12
        assert np.abs(sees - shares * sees.sum()).max() < 1, "whole examples, by largest remainder"
        assert not (new[sees < have]).any(), "what is cut down is not made anew"
        more = shares * (sees.sum() + 6)
        assert np.maximum(more - have, 0).sum() > 12, "six more in these shares would take more new ones than a lesson"
        lessons.append(tuple(made.examples))


def test_an_allocation_that_stays_trains_on_all_there_is() -> None:
    env = make(recipe=BRANCHING["recipe"] | {"data": "all", "replay": 0.0})
    sizes = [trained(env, ALL).sum(), *(trained(env, move(allocation=np.ones((2, 3)))).sum() for _ in range(2))]
    assert sizes == [12, 24, 36]


@pytest.mark.parametrize(
    "recipe", [{"data": "all", "replay": 0.0}, {"data": "all", "start": "base", "replay": 0.0}, {"replay": 0.5}]
)
def test_what_is_pruned_is_trained_on_no_more(recipe: dict[str, Any]) -> None:
    """Whether as new data, as data so far, or as replay."""
    env = make(recipe=BRANCHING["recipe"] | recipe)
    env.step(ALL)
    env.step(move(allocation=np.ones((2, 3))))
    job = env.begin(move(allocation=((1, 0, 0), (1, 1, 0))))
    assert job is not None
    assert job.train is not None
    seen = (*job.train.lesson, *job.train.earlier)
    assert {(e.skills[0], e.origin) for e in seen} == {("short", "toy/a-m"), ("long", "toy/a-h"), ("long", "toy/i-q")}
    assert bool(job.train.earlier) == (recipe["replay"] > 0)
    env.end(env.runner.run(job))
    observation, *_ = env.step(move(allocation=np.ones((2, 3))))
    assert observation["subskill_counts"][0, 1] > 6, "what is pruned is not forgotten by the forest, and may come back"


def test_patience_with_a_pruned_first_lesson() -> None:
    """The patience grows with the data from the first lesson's size, whatever of that lesson is still trained on."""
    env = make(recipe=BRANCHING["recipe"] | {"data": "all", "replay": 0.0, "patience": 2})
    env.step(move(explore=(1, 0)))
    job = env.begin(move(explore=(1, 0), allocation=np.zeros((2, 3))))
    assert job is not None
    assert job.train is not None
    assert job.train.recipe.patience == 4
    env.end(env.runner.run(job))
    env.step(move(explore=(0, 3)))
    job = env.begin(move(allocation=((0, 0, 0), (1, 1, 1))))
    assert job is not None
    assert job.train is not None
    assert job.train.recipe.patience == pytest.approx(2 * len(job.train.lesson) / 12, abs=1)


@pytest.mark.parametrize("task", ["branching", "reverse"])
def test_a_skill_that_is_one_piece(task: str) -> None:
    """A task without subskills, and any task under ``engine="pool"``: the skill is its own only subskill."""
    changes = {"engine": "pool"} if task == "branching" else {}
    env = make(task=task, **changes)
    observation, *_ = env.step({"explore": [1, 1], "data": [1, 0.5], "allocation": np.zeros((2, 1))})
    assert observation["subskill_counts"].tolist() == [[8], [4]]
    assert observation["counts"].tolist() == [8, 4]
    assert observation["subskill_accuracy"][:, 0].tolist() == observation["accuracy"].tolist()
    assert dataenv.Context(env).subskills("short") == (("short",) if task == "reverse" else NAMES[0])


def test_accuracy_is_that_of_the_subskill() -> None:
    """A student that is right on words from a to m alone."""
    env = make()
    assert isinstance(env.level, SkillTree)
    exam = env.level.exam
    assert exam is not None
    answers = [p[-2::-1] if p[0] <= "m" else "" for p in exam.prompts]
    accuracy = env.level.forest.accuracy(answers, np.zeros(2))
    assert accuracy[0].tolist() == [1, 0, 0]
    assert accuracy[1, 0] == 1
    assert accuracy[1, 2] == 0
    assert Counter(len(p) - 1 for p in exam.prompts) == {3: 4, 5: 3}, "as many as feedback has, in whole subskills"
    assert not {env.task.identity(p) for p in exam.prompts} & env.task.sealed


# --- the snapshot


def test_a_fork_goes_on_with_the_forest() -> None:
    env = make()
    env.step(move(explore=(1, 2), data=(0.5, 1)))
    branch = dataenv.fork(env)
    action = move(explore=(1, 0), allocation=((0, 0, 0), (0, 1, 0)))
    here, there = env.step(action), branch.step(action)
    assert all(np.array_equal(here[0][name], there[0][name]) for name in here[0])
    assert here[1:4] == there[1:4]
    text = env.snapshot().model_dump_json()
    again = TeachingEnv("skill-tree", runner=env.runner, setting=env.setting)
    observation, _ = again.reset(options={"snapshot": text})
    assert all(np.array_equal(observation[name], here[0][name]) for name in observation)


@pytest.mark.parametrize(
    "memory",
    [{}, {"grown": [9, 9]}, {"grown": [3, 3]}, {"grown": [1]}, {"allocation": [[2, 0, 0]] * 2}, {"allocation": None}],
)
def test_a_memory_that_is_no_forest_is_refused(memory: dict[str, Any]) -> None:
    env = make()
    good = env.snapshot()
    bad = good.model_dump() | {"memory": (good.memory | memory) if memory else {}}
    with pytest.raises(dataenv.SnapshotError, match=r"snapshot.memory.*give env.snapshot\(\) as it was"):
        env.reset(options={"snapshot": bad})
    assert env.snapshot() == good
    other = TeachingEnv("skill-list", runner=env.runner, setting=env.setting)
    with pytest.raises(dataenv.SnapshotError, match="keeps none"):
        other.reset(options={"snapshot": good.model_dump() | {"level": "skill-list"}})


# --- defects of the ancestor (each was reproduced there)


@pytest.mark.parametrize("data", ["lesson", "all"])
def test_no_budget_is_overrun(data: str) -> None:
    """There the cap on data was compared with one step's, so an episode taught three times as much as it allowed."""
    env = make(
        recipe=BRANCHING["recipe"] | {"data": data, "replay": 0.0}, budget={"student_tokens": 2500, "examples": 40}
    )
    played = dataenv.run(env, registry.build("teacher", "alternating"), seed=0)
    assert played.steps[-1].ended == "spent"
    assert sum(step.kept for step in played.steps) <= 40
    assert played.steps[-1].spent <= 2500
    with pytest.raises(dataenv.DataenvError, match="has ended"):
        env.step(ALL)


def test_reset_restores_the_untaught_student_and_an_empty_forest() -> None:
    """There the next episode began with the student that the last one had taught."""
    env = make()
    first, state = env.reset(seed=0)[0], env.state
    job = env.begin(ALL)
    assert job is not None
    env.end(env.runner.run(job))
    env.step(move(allocation=np.ones((2, 3))))
    assert env.state != state
    again, info = env.reset(seed=0)
    assert info["state"] == state
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert env.begin(ALL) == job, "the next lesson starts where the first one did, with the same data"


class Careless(Branching):
    """Gets every second answer wrong."""

    name = "careless"

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> list[Example]:
        made = super().generate_subskill(skill, subskill, n, rng)
        return [e.model_copy(update={"response": "no"}) if i % 2 else e for i, e in enumerate(made)]


@pytest.mark.parametrize("verify", [True, False])
def test_a_verdict_filters_where_the_setting_says_so(verify: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """There what had failed its check was trained on all the same."""
    monkeypatch.setitem(registry.TASKS, "careless", "tests.dataenv.levels.test_skill_tree:Careless")
    env = make(task="careless", verify=verify)
    _, _, _, _, info = env.step(move(explore=(2, 1)))
    wrong = sum(e.response == "no" for e in env._taught.lessons[0])
    assert info["rejected/wrong"] + info["judged/wrong"] == 6
    assert wrong == (0 if verify else 6)
