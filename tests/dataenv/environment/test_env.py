"""The environment is a Gymnasium environment, restores what it says, and conserves what it counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.setting import make_setting
from tests.tiny import TINY

K = len(make_setting(TINY).built_task.skills)
IDS = ("dataenv/SkillList-v0", "dataenv/OpenEnded-v0", "dataenv/SkillTree-v0")


def make(**changes: Any) -> TeachingEnv:
    fields = TINY | {"store": "off"} | changes
    return TeachingEnv(fields.pop("level", "skill-list"), **fields)


@pytest.fixture
def env() -> TeachingEnv:
    made = make()
    made.reset(seed=0)
    return made


def uniform(env: TeachingEnv) -> np.ndarray:
    return np.ones(len(env.task.skills), np.float32)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b)


@pytest.mark.parametrize("id_", IDS)
@pytest.mark.parametrize("store", ["off", "disk"])
@pytest.mark.filterwarnings("ignore:.*not within the observation space.*")
def test_check_env(id_: str, store: str, tmp_path: Path) -> None:
    env = gym.make(id_, store=str(tmp_path) if store == "disk" else "off", render_mode="ansi", **TINY)
    check_env(env.unwrapped)


@pytest.mark.parametrize("id_", IDS)
def test_the_spec_is_json_and_makes_the_same_environment(id_: str) -> None:
    env = gym.make(id_, store="off", **TINY)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert dataenv.TeachingEnv is type(again.unwrapped)
    assert again.unwrapped.setting.digest == env.unwrapped.setting.digest


@pytest.mark.parametrize("id_", IDS)
def test_observations_stay_in_their_space(id_: str) -> None:
    env = gym.make(id_, store="off", **TINY)
    observation, _ = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    env.action_space.seed(0)
    for _ in range(3):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert -1 <= float(reward) <= 1
        if terminated or truncated:
            break


EPISODE = """
import hashlib, json, sys
import numpy as np
from dataenv.environment.env import TeachingEnv
from tests.tiny import TINY
env = TeachingEnv("skill-list", store="off", **TINY)
observation, info = env.reset(seed=5)
trace = [repr(observation), repr(info)]
for step in range(3):
    mixture = np.random.default_rng(step).random(len(env.task.skills)).astype(np.float32)
    trace.append(repr(env.step(mixture)))
weights = env.runner.weights(env.state)
print(hashlib.sha256(weights).hexdigest(), hashlib.sha256("".join(trace).encode()).hexdigest(), env.state)
"""


def test_two_processes_agree_bit_for_bit_with_the_store_off() -> None:
    found = set()
    for hash_seed in ("1", "2"):
        environ = os.environ | {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", EPISODE], env=environ, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
    assert len(found.pop().split()) == 3


def test_reset_restores_the_untaught_student(env: TeachingEnv) -> None:
    first = env.state
    weights = env.runner.weights(first)
    env.step(uniform(env))
    assert env.state != first
    taught = env.runner.weights(env.state)
    observation, info = env.reset(seed=0)
    assert info["state"] == first
    assert env.runner.weights(env.state) == weights != taught
    assert observation["counts"].sum() == 0
    assert info["spent"] == 0


def test_another_seed_is_another_student(env: TeachingEnv) -> None:
    first = env.state
    env.reset(seed=1)
    assert env.state != first


def test_reset_without_a_seed_draws_from_the_warm_starts() -> None:
    env = make(warm_starts=2)
    env.reset(seed=0)
    students, seeds = set(), set()
    for _ in range(6):
        env.reset()
        students.add(env.state)
        seeds.add(env.snapshot().seed)
    assert len(students) <= 2
    assert len(seeds) == 6


def test_the_empty_action_stops_at_every_level() -> None:
    nothing = {"explore": np.zeros(K, int), "data": np.zeros(K), "allocation": np.zeros((K, 4))}
    for level, action in (("skill-list", None), ("open-ended", ()), ("open-ended", []), ("skill-tree", nothing)):
        env = make(level=level)
        env.reset(seed=0)
        before = env.state
        _, reward, terminated, truncated, info = env.step(np.zeros(K, np.float32) if action is None else action)
        assert (terminated, truncated, float(reward), info["spent"]) == (True, False, 0.0, 0)
        assert env.state == before
        with pytest.raises(dataenv.DataenvError, match="has ended"):
            env.step(action if action is not None else uniform(env))


def test_mastery_terminates() -> None:
    env = make(
        mastery=0.02,
        student_args=TINY["student_args"] | {"width": 32},
        recipe={"updates": 96, "batch": 32, "rate": 0.01},
        lesson_size=1024,
        budget={"student_tokens": 10**9},
    )
    env.reset(seed=0)
    first_alone = np.eye(len(env.task.skills), dtype=np.float32)[0]
    for _ in range(4):
        _, _, terminated, truncated, info = env.step(first_alone)
        assert not truncated
        assert terminated == (info["score"] >= 0.02)
        if terminated:
            break
    assert terminated


def test_a_snapshot_goes_on_in_another_instance_as_if_nothing_had_been(tmp_path: Path) -> None:
    def fresh() -> TeachingEnv:
        return make(store=str(tmp_path), recipe=TINY["recipe"] | {"data": "all", "replay": 0.0})

    env = fresh()
    env.reset(seed=2)
    env.step(uniform(env))
    text = env.snapshot().model_dump_json()
    straight = [env.step(uniform(env)) for _ in range(2)]
    other = fresh()
    other.reset(options={"snapshot": json.loads(text)})
    forked = [other.step(uniform(other)) for _ in range(2)]
    assert all(same(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(straight, forked, strict=True))


def test_fork_leaves_the_original_alone(env: TeachingEnv) -> None:
    env.step(uniform(env))
    before, spent = env.snapshot(), env.purse.spent
    branch = dataenv.fork(env)
    assert branch.snapshot() == before
    branch.step(uniform(branch))
    assert env.snapshot() == before
    assert env.purse.spent == spent < branch.purse.spent


def test_a_snapshot_of_another_setting_level_or_store_is_refused(env: TeachingEnv) -> None:
    env.step(uniform(env))
    snapshot = env.snapshot()
    with pytest.raises(dataenv.SnapshotError, match="setting differs"):
        make(mastery=0.5).reset(options={"snapshot": snapshot})
    with pytest.raises(dataenv.SnapshotError, match="level"):
        make(level="open-ended").reset(options={"snapshot": snapshot})
    with pytest.raises(dataenv.StoreError, match="not in store"):
        make().reset(options={"snapshot": snapshot})
    with pytest.raises(dataenv.SnapshotError, match="is no snapshot"):
        make().reset(options={"snapshot": "{"})


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (np.full(K, np.nan), r"action\[0\] \(.*\) is nan; give a number from 0 to 1"),
        (np.full(K, 1 + 1j), "action is a ndarray of complex128; give shape"),
        (["1"] * K, "action is a list of str; give shape"),
        ([None] * K, "action is a list of object; give shape"),
        (np.full(K, 2.0), r"action\[0\] .* is 2.0"),
        (np.ones(3), rf"shape \(3,\); give shape \({K},\)"),
        ("teach", "is a str|shape"),
        (None, "shape|NoneType"),
        ([{"prompt": "x"}], "is a list"),
    ],
)
def test_a_bad_mixture_is_one_sentence_and_changes_nothing(env: TeachingEnv, action: Any, words: str) -> None:
    before = env.snapshot()
    with pytest.raises(dataenv.ActionError, match=words):
        env.step(action)
    assert env.snapshot() == before
    env.step(uniform(env))


def test_what_drifts_is_noticed_with_the_store_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The determinism tests can fail: with the store off a second computation is not replaced by the first."""
    from students.pocket.student import Pocket

    sound, calls = Pocket.fit, iter(range(10**6))
    monkeypatch.setattr(Pocket, "fit", lambda self, w, data, recipe, seed: sound(self, w, data, recipe, next(calls)))
    env = make()
    env.reset(seed=0)
    first = env.runner.weights(env.state)
    env.reset(seed=0)
    assert env.runner.weights(env.state) != first


def test_a_store_that_fails_in_the_middle_of_a_step_changes_nothing(env: TeachingEnv) -> None:
    before, lessons, spent = env.snapshot(), env._taught.lessons, env.purse.spent

    def full(examples: Any) -> str:
        raise dataenv.StoreError("store x cannot be used (disk full); free space")

    env.runner.store.put_lesson = full  # type: ignore[method-assign]
    with pytest.raises(dataenv.StoreError):
        env.step(uniform(env))
    del env.runner.store.put_lesson
    assert (env.snapshot(), env._taught.lessons, env.purse.spent) == (before, lessons, spent)
    env.step(uniform(env))
    assert len(env._taught.lessons) == len(env.snapshot().lessons) == 1


def test_end_takes_the_outcome_of_its_own_job_alone(env: TeachingEnv) -> None:
    other = make()
    other.reset(seed=1)
    job, foreign = env.begin(uniform(env)), other.begin(uniform(other))
    assert job is not None
    assert foreign is not None
    for wrong in (None, other.runner.run(foreign)):
        with pytest.raises(dataenv.DataenvError, match="outcome is that of another job"):
            env.end(wrong)
    env.end(env.runner.run(job))


def test_hostile_snapshots_are_refused_and_change_nothing(env: TeachingEnv) -> None:
    env.step(uniform(env))
    good = env.snapshot()
    for field, value in (("training", -(10**9)), ("training", 10**12), ("seed", -1), ("lessons", ["0" * 64])):
        with pytest.raises(dataenv.DataenvError):
            env.reset(options={"snapshot": good.model_dump() | {field: value}})
        assert env.snapshot() == good
    for seed in (-1, 2**70):
        with pytest.raises((dataenv.ActionError, ValueError)):
            env.reset(seed=seed)


def test_a_failed_training_leaves_the_environment_as_it_was() -> None:
    env = make(recipe=TINY["recipe"] | {"rate": 1.0, "clip": 1e30, "updates": 60, "batch": 4})
    env.reset(seed=0)
    before = env.snapshot()

    def diverge(*_: Any) -> Any:
        from students.base import TrainingDivergedError

        raise TrainingDivergedError("the loss became nan at update 3; lower recipe.rate")

    env.student.fit = diverge  # type: ignore[method-assign]
    try:
        with pytest.raises(dataenv.JobFailedError, match=r"diverged.*lower recipe.rate"):
            env.step(uniform(env))
    finally:
        del env.student.fit
    assert env.snapshot() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_a_student_whose_losses_are_no_numbers_is_one_sentence(value: float) -> None:
    env = make()

    def losses(weights: bytes, examples: Any) -> list[float]:
        return [1.0] * (len(examples) - 1) + [value]

    env.student.losses = losses  # type: ignore[method-assign]
    try:
        with pytest.raises(
            dataenv.JobFailedError, match=rf"loss on the feedback exam is {value}; lower recipe.rate, or"
        ):
            env.reset(seed=0)
    finally:
        del env.student.losses


def test_base_and_all_retrain_from_the_untaught_student() -> None:
    env = make(recipe=TINY["recipe"] | {"start": "base", "data": "all"})
    env.reset(seed=0)
    base = env.state
    env.step(uniform(env))
    env.step(uniform(env))
    row = env.runner.store.get("states", env.state)
    assert row["job"]["parent"] == base
    assert len(env.runner.store.lesson(row["job"]["train"]["lesson"])) == 2 * TINY["lesson_size"]


def test_render_shows_every_skill(env: TeachingEnv) -> None:
    shown = make(render_mode="ansi")
    shown.reset(seed=0)
    shown.step(uniform(shown))
    text = shown.render()
    assert text is not None
    assert all(skill in text for skill in shown.task.skills)
    assert env.render() is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task": "arithmatic"}, "did you mean 'arithmetic'"),
        ({"student": "pockett"}, "did you mean 'pocket'"),
        ({"recipe": {"update": 3}}, "recipe.update is no field; did you mean updates"),
        ({"recipe": {"updates": 0}}, "recipe.updates is 0; give at least 1"),
        ({"student_args": {"widht": 3}}, "student_args of student 'pocket' do not fit"),
        ({"student_args": {"width": 17}}, "must be a multiple"),
        ({"student_args": {"heads": 0}}, "student_args.heads is 0; it must be"),
        ({"level": "skill-forest"}, "level 'skill-forest' is not registered; did you mean 'skill-tree'"),
        ({"executor": "threads"}, "executor is 'threads'"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
        ({"budget": {"student_tokens": -1}}, "budget.student_tokens is -1"),
    ],
)
def test_bad_arguments_are_one_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(dataenv.DataenvError, match=words) as caught:
        make(**fields)
    assert "\n" not in str(caught.value)


def test_sealed_items_reach_no_observation(env: TeachingEnv) -> None:
    """The teacher sees feedback problems alone: no prompt of selection, test or transfer."""
    sealed = {p.prompt for split in ("selection", "test", "transfer") for p in env.task.split(split)}
    observation, *_ = env.step(uniform(env))
    shown = {error["prompt"] for error in observation["errors"]}
    assert shown
    assert not shown & sealed
    assert not any(prompt in repr(observation) for prompt in sealed)


@pytest.mark.parametrize(
    ("reset", "words"),
    [
        ({"seed": "x"}, "seed is 'x'; give a whole number from 0 to 9223372036854775807"),
        ({"seed": 1.0}, "seed is 1.0; give a whole number from 0"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"seed": True}, "seed is True; give a whole number from 0"),
        ({"options": {"foo": 1}}, "options has 'foo'; 'snapshot' is all that reset takes"),
        ({"options": [1]}, r"options is \[1\]; give a dict with 'snapshot'"),
    ],
)
def test_a_reset_that_is_none_is_one_sentence_and_changes_nothing(reset: dict[str, Any], words: str) -> None:
    env = make()
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(dataenv.ActionError, match=words):
        env.reset(**reset)
    assert env.snapshot() == before
    assert env.reset(seed=np.uint8(3), options={})[1]["state"] != before.state


def test_what_was_closed_says_so() -> None:
    env = make()
    env.reset(seed=0)
    env.close()
    env.close()
    for use in (lambda: env.reset(seed=0), lambda: env.step(np.ones(len(env.task.skills), np.float32))):
        with pytest.raises(dataenv.DataenvError, match="the environment was closed; make another one"):
            use()
    assert env.snapshot().step == 0
