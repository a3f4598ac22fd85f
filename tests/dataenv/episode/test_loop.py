"""Any function is a teacher; probes and branches are paid by what is asked."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from tests.tiny import TINY


def make(**changes: Any) -> TeachingEnv:
    return TeachingEnv("skill-list", store="off", **(TINY | changes))


class Recorder:
    """A teacher that keeps what it is told."""

    def begin(self, context: dataenv.Context) -> None:
        self.context, self.transitions = context, []

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return np.ones(len(self.context.skills), np.float32)

    def learn(self, transition: dataenv.Transition) -> None:
        self.transitions.append(transition)


def test_a_plain_function_is_a_teacher_through_wrappers() -> None:
    env = gym.make("dataenv/SkillList-v0", store="off", **TINY)
    episode = dataenv.run(env, lambda observation: np.ones_like(observation["accuracy"]), seed=0)
    assert episode.steps[-1].ended == "spent"
    with_info = dataenv.run(env, lambda observation, info: np.ones_like(observation["accuracy"]), seed=0)
    assert with_info.steps == episode.steps


def test_rewards_sum_to_the_gain_on_selection() -> None:
    teacher = Recorder()
    episode = dataenv.run(make(), teacher, seed=0)
    first, last = episode.steps[0].selection, episode.steps[-1].selection
    gain = (sum(last.correct) - sum(first.correct)) / sum(last.n)
    assert episode.total_reward == pytest.approx(gain)
    assert len(teacher.transitions) == len(episode.steps) - 1
    assert teacher.transitions[-1].truncated


def test_what_is_no_teacher_is_said() -> None:
    with pytest.raises(dataenv.SettingError, match="teacher is a int; give an object with act"):
        dataenv.run(make(), 3, seed=0)
    with pytest.raises(dataenv.SettingError, match="env is a"):
        dataenv.run(gym.make("CartPole-v1"), Recorder(), seed=0)


def test_probes_are_paid_by_what_is_asked_cached_or_not() -> None:
    env = make()
    env.reset(seed=0)
    context = dataenv.Context(env)
    examples = context.generate("max", 5)
    price = sum(env.student.tokens(e) for e in examples)
    first = context.probe(examples)
    assert first.shape == (5,)
    assert (first > 0).all()
    assert env.purse.uses["probes"] == price
    np.testing.assert_array_equal(context.probe(examples), first)
    assert env.purse.uses["probes"] == 2 * price
    assert set(context.probe(examples, "accuracy")) <= {0.0, 1.0}
    asked = sum(len(e.prompt) + 1 + env.setting.decoding.max_tokens for e in examples)
    assert context.budget.spent == env.snapshot().probes == 2 * price + asked, "it may write as long as it is let"


def test_a_probe_that_the_purse_cannot_pay_is_refused_whole() -> None:
    env = make(budget={"student_tokens": 30})
    env.reset(seed=0)
    context = dataenv.Context(env)
    with pytest.raises(dataenv.BudgetSpentError, match="the purse holds 30"):
        context.probe(context.generate("max", 5))
    assert env.purse.spent == 0


def test_a_probe_is_no_oracle_for_sealed_items() -> None:
    env = make()
    env.reset(seed=0)
    problem = env.task.split("selection")[0]
    with pytest.raises(dataenv.SettingError, match="would not pass the screen"):
        dataenv.Context(env).probe([dataenv.Example(prompt=problem.prompt, response=problem.answer)])
    assert env.purse.spent > 0, "a refusal for nothing would list what is sealed"


def test_branches_of_a_teacher_spend_its_purse() -> None:
    env = make()
    env.reset(seed=0)
    context = dataenv.Context(env)
    branch = context.fork()
    _, _, _, _, info = branch.step(np.ones(len(context.skills), np.float32))
    assert env.purse.spent == env.purse.uses["probes"] == info["price"] > 0
    assert env.state == env.snapshot().base


def test_no_branch_escapes_the_purse() -> None:
    env = make()
    env.reset(seed=0)
    uniform = np.ones(len(env.task.skills), np.float32)
    branch = dataenv.Context(env).fork()
    branch.reset(options={"snapshot": branch.snapshot()})
    branch.step(uniform)
    once = env.purse.spent
    assert once > 0
    dataenv.fork(branch).step(uniform)
    twice = env.purse.spent
    assert twice > 1.5 * once
    branch.reset(seed=3)
    branch.step(uniform)
    assert env.purse.spent > 1.2 * twice


def test_a_step_given_up_on_a_branch_stays_paid() -> None:
    """Or a teacher could ask the screen for nothing which examples are sealed."""
    env = make()
    env.reset(seed=0)
    uniform = np.ones(len(env.task.skills), np.float32)
    first, second = (dataenv.Context(env).fork() for _ in range(2))
    assert first.begin(uniform) is not None
    _, _, _, _, info = second.step(uniform)
    first.abort()
    assert env.purse.spent > info["price"]
    assert env.purse.spent == pytest.approx(2 * info["price"], rel=0.1)


def test_closing_a_branch_leaves_the_workers_of_the_original() -> None:
    closed = []
    env = make()
    env.reset(seed=0)
    env.runner.executor.close = lambda: closed.append(1)  # type: ignore[method-assign]
    dataenv.Context(env).fork().close()
    assert not closed
    env.close()
    assert closed


def test_diagnosis_names_skills_of_the_task() -> None:
    env = make()
    observation, _ = env.reset(seed=0)
    context = dataenv.Context(env)
    for error in observation["errors"]:
        missing = context.diagnose(error)
        assert missing
        assert set(missing) <= set(context.skills)
    with pytest.raises(dataenv.SettingError, match="give one of observation"):
        context.diagnose({"prompt": "nothing of ours", "response": ""})


def test_one_more_draw_of_a_teacher_shifts_nothing_for_the_environment() -> None:
    class Chatty(Recorder):
        def act(self, observation: Any, info: dict[str, Any]) -> Any:
            self.context.rng.random(17)
            self.context.generate("max", 3)
            return super().act(observation, info)

    assert dataenv.run(make(), Chatty(), seed=0).steps == dataenv.run(make(), Recorder(), seed=0).steps
