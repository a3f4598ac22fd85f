"""A vector of environments goes where its environments would go one by one, as gymnasium's own vector has it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from dataenv.vector.vector_env import TeachingVectorEnv, seeds_of
from tests.tiny import TINY
from tests.toys import BRANCHING, TOYS

MODES = list(AutoresetMode)
SHORT = TOYS | {"budget": {"student_tokens": 800}}
"""An episode of three lessons, the last of them shorter."""


@pytest.fixture(autouse=True)
def registered(toys: None) -> None:
    """Reverse and the parrot have names."""


@pytest.fixture
def runner() -> Runner:
    return Runner(Store(None))


def vector(n: int, runner: Runner, **fields: Any) -> TeachingVectorEnv:
    return TeachingVectorEnv(n, runner=runner, **(SHORT | fields))


def actions(n: int, k: int, steps: int) -> np.ndarray:
    return np.random.default_rng(0).random((steps, n, k)).astype(np.float32)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray) and a.dtype == object:
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b)


@pytest.mark.parametrize("mode", MODES)
def test_it_does_what_gymnasium_does_one_by_one(mode: AutoresetMode, runner: Runner) -> None:
    """Observations, rewards, ends, infos and final infos through several episodes; drawn seeds too."""
    ours = vector(3, runner, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: TeachingEnv(runner=runner, **SHORT)] * 3, autoreset_mode=mode)
    assert same(ours.reset(seed=5), theirs.reset(seed=5))
    ends = 0
    for batch in actions(3, 2, 12):
        one, other = ours.step(batch), theirs.step(batch)
        assert same(one, other)
        assert ours.observation_space.contains(one[0])
        over = one[2] | one[3]
        ends += int(over.sum())
        if mode is AutoresetMode.DISABLED and over.any():
            masks = [{"reset_mask": over.copy()} for _ in range(2)]
            assert same(ours.reset(seed=50 + ends, options=masks[0]), theirs.reset(seed=50 + ends, options=masks[1]))
            assert "reset_mask" in masks[0]
    assert ends >= 6


@pytest.mark.parametrize(
    "executor", ["inline", *(pytest.param(name, marks=pytest.mark.slow) for name in ("processes:2", "ray:2"))]
)
def test_real_students_go_the_same_way_wherever_they_are_trained(executor: str, tmp_path: Path) -> None:
    """Three real students, in this process or by two workers (Ray's too), come to the same as one by one."""
    many = gym.make_vec("dataenv/SkillList-v0", num_envs=3, store=str(tmp_path), executor=executor, **TINY)
    assert isinstance(many, TeachingVectorEnv)
    try:
        steps = actions(3, len(many.envs[0].task.skills), 1)
        first, _ = many.reset(seed=3)
        taught = [many.step(batch) for batch in steps]
        assert many.runner.trained == 3 * (1 + len(steps))
    finally:
        many.close()
    for i in range(3):
        env = TeachingEnv(store="off", **TINY)
        observation, _ = env.reset(seed=3 + i)
        assert np.array_equal(observation["accuracy"], first["accuracy"][i])
        for batch, (seen, rewards, _, _, infos) in zip(steps, taught, strict=True):
            observation, reward, _, _, info = env.step(batch[i])
            assert same(observation, {name: seen[name][i] for name in seen})
            assert (reward, info["state"], info["spent"]) == (rewards[i], infos["state"][i], infos["spent"][i])


def test_open_ended_lessons_are_a_list_of_lists(runner: Runner) -> None:
    envs = vector(2, runner, level="open-ended")
    envs.reset(seed=0)
    lesson = [dataenv.Example(prompt="abc>", response="cba")]
    observations, _, terminated, _, infos = envs.step([lesson, ()])
    assert infos["kept"].tolist() == [1, 0]
    assert terminated.tolist() == [False, True]
    assert envs.observation_space.contains(observations)


def test_the_spec_makes_the_same_vector() -> None:
    envs = gym.make_vec("dataenv/SkillList-v0", num_envs=2, autoreset_mode="SameStep", **SHORT)
    assert envs.spec is not None
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(envs.spec.to_json()))
    assert again.num_envs == 2
    assert again.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert again.action_space == envs.action_space


def test_an_error_names_its_environment_and_changes_nothing(runner: Runner) -> None:
    envs = vector(3, runner)
    envs.reset(seed=0)
    before = [env.snapshot() for env in envs.envs]
    bad = np.ones((3, 2), np.float32)
    bad[1, 0] = np.nan
    with pytest.raises(dataenv.ActionError, match=r"^environment 1: action\[0\] \(short\) is nan"):
        envs.step(bad)
    assert [env.snapshot() for env in envs.envs] == before
    with pytest.raises(dataenv.ActionError, match="actions holds 2; give 3"):
        envs.step(list(bad[:2]))


def test_a_student_that_diverges_is_named_and_the_step_can_be_tried_again(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reset that was due in the same step, the seeds drawn and the purses are as if nothing had been."""
    from students.base import TrainingDivergedError

    envs, twin = vector(3, runner), vector(3, Runner(Store(None)))
    envs.reset(seed=0)
    twin.reset(seed=0)
    stop_first = np.ones((3, 2), np.float32)
    stop_first[0] = 0.0
    assert same(envs.step(stop_first), twin.step(stop_first))
    before = [env.snapshot() for env in envs.envs[1:]]
    student = envs.envs[0].student
    fit, trained = student.fit, []

    def diverge_once(weights: bytes, data: Any, recipe: Any, seed: int) -> Any:
        trained.append(seed)
        if len(trained) == 2:
            raise TrainingDivergedError("the loss became nan at update 3; lower recipe.rate")
        return fit(weights, data, recipe, seed)

    monkeypatch.setattr(student, "fit", diverge_once)
    lesson = actions(3, 2, 1)[0]
    with pytest.raises(dataenv.JobFailedError, match=r"^environment 2: training diverged"):
        envs.step(lesson)
    assert [env.snapshot() for env in envs.envs[1:]] == before
    again = envs.step(lesson)
    monkeypatch.undo()
    assert same(again, twin.step(lesson))
    assert len(trained) == 3, "what came to something before is not trained twice"


def test_snapshots_start_all_from_one_moment_or_each_from_its_own(runner: Runner) -> None:
    env = TeachingEnv(runner=runner, **SHORT)
    env.reset(seed=4)
    moments = [env.snapshot()]
    env.step(np.ones(2, np.float32))
    moments.append(env.snapshot())
    envs = vector(2, runner)
    _, infos = envs.reset(options={"snapshot": moments})
    assert infos["step"].tolist() == [0, 1]
    _, infos = envs.reset(options={"snapshot": moments[1]})
    assert infos["state"].tolist() == [moments[1].state] * 2
    with pytest.raises(dataenv.ActionError, match=r"snapshot.\] holds 1; give one, or 2"):
        envs.reset(options={"snapshot": moments[:1]})
    with pytest.raises(dataenv.SnapshotError, match=r"^environment 1: "):
        envs.reset(options={"snapshot": [moments[0], moments[1].model_copy(update={"level": "open-ended"})]})


def test_students_may_differ_and_tasks_may_not(runner: Runner) -> None:
    small = make_setting(SHORT)
    other = small.changed(student="apprentice")
    envs = TeachingVectorEnv(2, runner=runner, settings=[small, other])
    assert [env.student.name for env in envs.envs] == ["parrot", "apprentice"]
    mixed = [small, make_setting(TINY)]
    with pytest.raises(dataenv.SettingError, match=r"settings\[1\].task is 'arithmetic' and settings\[0\].task is"):
        TeachingVectorEnv(2, runner=runner, settings=mixed)


def test_a_skill_tree_is_not_of_two_engines(runner: Runner) -> None:
    """A pool is not divided, so the spaces would differ."""
    tree = make_setting(BRANCHING)
    mixed = [tree, tree.changed(engine="pool")]
    words = r"settings\[1\].engine is 'pool' and settings\[0\].engine is 'procedural'; a vector has one of them"
    with pytest.raises(dataenv.SettingError, match=words):
        TeachingVectorEnv(2, "skill-tree", runner=runner, settings=mixed)
    assert TeachingVectorEnv(2, runner=runner, settings=mixed).num_envs == 2


@pytest.mark.parametrize(
    ("level", "actions", "words"),
    [
        ("skill-list", None, "actions is a NoneType; give a batch of action_space, or a list"),
        ("skill-list", 1.0, "actions is a float; give a batch"),
        ("skill-tree", np.zeros((2, 5)), "actions is a ndarray; give a batch"),
        ("skill-tree", {"explore": np.zeros((2, 2), np.int64)}, "actions is a dict of explore; give a batch"),
        ("open-ended", None, "actions is a NoneType; give a batch"),
    ],
)
def test_what_is_no_batch_is_one_sentence(level: str, actions: Any, words: str, runner: Runner) -> None:
    envs = TeachingVectorEnv(2, level, runner=runner, **BRANCHING)
    envs.reset(seed=0)
    before = [env.snapshot() for env in envs.envs]
    with pytest.raises(dataenv.ActionError, match=words) as said:
        envs.step(actions)
    assert "\n" not in str(said.value)
    assert [env.snapshot() for env in envs.envs] == before


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_envs": 0}, "num_envs is 0; give a whole number of at least 1"),
        ({"autoreset_mode": "Never"}, "autoreset_mode is 'Never'; give one of NextStep, SameStep, Disabled"),
        ({"num_envs": 2, "settings": [make_setting({})]}, "settings holds 1 and num_envs is 2"),
        ({"settings": [make_setting({})], "task": "lego"}, "settings and task are both given"),
        ({"tsk": "lego"}, "did you mean task"),
    ],
)
def test_bad_arguments_are_one_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(dataenv.SettingError, match=words):
        TeachingVectorEnv(**fields)


@pytest.mark.parametrize(
    ("reset", "words"),
    [
        ({"seed": -1}, "seed is -1; give a whole number from 0 to 9223372036854775807"),
        ({"seed": "x"}, "seed is 'x'; give a whole number from 0"),
        ({"seed": [0, 1.5]}, "seed is 1.5; give a whole number from 0"),
        ({"seed": 2**63 - 1}, "seed is 9223372036854775808; give a whole number from 0"),
        ({"options": {"foo": 1}}, "environment 0: options has 'foo'; 'snapshot' is all that reset takes"),
        ({"seed": [1, 2, 3]}, "seed holds 3; give 2"),
        ({"options": {"reset_mask": np.zeros(2, np.bool_)}}, "reset_mask'] must be 2 numpy bools"),
        ({"options": {"reset_mask": [True, False]}}, "reset_mask'] must be 2 numpy bools"),
    ],
)
def test_bad_resets_are_one_sentence(reset: dict[str, Any], words: str, runner: Runner) -> None:
    with pytest.raises(dataenv.ActionError) as said:
        vector(2, runner).reset(**reset)
    assert words in str(said.value)


@pytest.mark.parametrize("level", ["SkillList", "SkillTree"])
@pytest.mark.parametrize("actions", ["box", "multi-discrete", "discrete"])
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_a_numeric_vector_goes_through_what_gymnasiums_does(level: str, actions: str, mode: str) -> None:
    fields = TINY | {"student": "simulated", "student_args": {}, "store": "off", "budget": {"student_tokens": 9_000}}
    name, final = f"dataenv/{level}-v0", actions == "discrete"
    ours = gym.make_vec(name, num_envs=3, autoreset_mode=mode, actions=actions, final=final, **fields)
    theirs = gym.make_vec(
        name,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        wrappers=[partial(dataenv.numeric, actions=actions, final=final)],
        **fields,
    )
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.single_action_space == theirs.single_action_space
    assert np.array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    ours.action_space.seed(1)
    ended = False
    for _ in range(6):
        action = ours.action_space.sample()
        (seen, *rest, infos), (seen_too, *rest_too, infos_too) = ours.step(action), theirs.step(action)
        assert np.array_equal(seen, seen_too)
        assert all(map(np.array_equal, rest, rest_too))
        ended = ended or bool(rest[1].any() or rest[2].any())
        if "final_obs" in infos:
            pairs = zip(infos["final_obs"], infos_too["final_obs"], strict=True)
            assert all(np.array_equal(one, two) for one, two in pairs if one is not None)
    assert ended


def test_what_is_no_number_of_the_view_names_its_environment(runner: Runner) -> None:
    envs = vector(2, runner, actions="box")
    envs.reset(seed=0)
    with pytest.raises(dataenv.ActionError, match=r"environment 1: action \(shape \(2,\), float32\) is not in Box"):
        envs.step(np.array([[1, 1], [2, 1]], np.float32))
    with pytest.raises(dataenv.SettingError, match="env is a TeachingVectorEnv, which is made numeric itself"):
        dataenv.numeric(envs)  # type: ignore[arg-type]


@pytest.mark.parametrize("seeds", [[4, 5], (4, 5), range(4, 6), np.array([4, 5], np.uint8), 4, np.int16(4)])
def test_seeds_may_come_in_any_sequence(seeds: Any, runner: Runner) -> None:
    assert seeds_of(seeds, 2) == [4, 5]


def test_a_vector_that_was_closed_says_so(runner: Runner) -> None:
    envs = vector(2, runner)
    envs.reset(seed=0)
    envs.close()
    for use in (lambda: envs.reset(seed=0), lambda: envs.step(np.ones((2, 2), np.float32))):
        with pytest.raises(dataenv.DataenvError, match="the vector was closed; make another one"):
            use()


@pytest.mark.slow
def test_numbers_cross_to_processes(runner: Runner) -> None:
    fields = TINY | {"student": "simulated", "student_args": {}, "store": "off"}
    envs = gym.make_vec(
        "dataenv/SkillList-v0", num_envs=2, vectorization_mode="async", wrappers=[dataenv.numeric], **fields
    )
    seen, _ = envs.reset(seed=0)
    assert seen in envs.observation_space
    assert envs.step(envs.action_space.sample())[0].shape == seen.shape
    envs.close()


def test_an_episode_that_has_ended_waits_for_its_reset_where_none_is_automatic(runner: Runner) -> None:
    envs = vector(2, runner, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.step(np.array([[0, 0], [1, 1]], np.float32))
    with pytest.raises(dataenv.ActionError, match="environments 0 have ended; reset them"):
        envs.step(np.ones((2, 2), np.float32))
