"""Somebody else's code is called within a time limit, and what it raises is one sentence with its place."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

import dataenv
from dataenv.environment.env import TeachingEnv
from dataenv.episode.calls import Calls, described, raised_here
from dataenv.errors import BudgetSpentError, StoreError, TeacherFailedError
from dataenv.execution.store import Store
from tests.toys import TOYS
from tests.weird import LoopsForGood, Weird

pytestmark = pytest.mark.usefixtures("toys")


def make(**changes: Any) -> TeachingEnv:
    env = TeachingEnv("skill-list", store="off", **TOYS | {"budget": {"student_tokens": 20_000}} | changes)
    env.reset(seed=0)
    return env


def test_a_teacher_is_called_in_a_thread_of_its_own_and_in_one_alone() -> None:
    seen = []

    class Where(Weird):
        def begin(self, context: Any) -> None:
            super().begin(context)
            seen.append(threading.current_thread())

        def act(self, observation: Any, info: dict[str, Any]) -> Any:
            seen.append(threading.current_thread())
            return super().act(observation, info)

    plain = dataenv.run(make(), Where(), seed=0)
    assert set(seen) == {threading.current_thread()}
    seen.clear()
    timed = dataenv.run(make(), Where(), seed=0, act_deadline=60.0)
    assert len(set(seen)) == 1
    assert threading.current_thread() not in seen
    assert timed.steps == plain.steps
    seen[0].join(5)
    assert not seen[0].is_alive(), "it ends with the episode"


def test_what_a_teacher_waits_for_is_not_its_time() -> None:
    env = make()
    sound = env.runner.executor.submit

    def slowly(*given: Any) -> Any:
        time.sleep(2.5)
        return sound(*given)

    env.runner.executor.submit = slowly  # type: ignore[method-assign]
    calls, context = Calls(env, 1.0), dataenv.Context(env)
    assert len(calls("act", context.sample, ["ab>"], 2)[0]) == 2
    calls.close()


def test_a_reply_of_a_language_model_begins_the_time_anew() -> None:
    env = make()
    calls = Calls(env, 1.0)

    def asks() -> str:
        for _ in range(4):
            time.sleep(0.6)
            env.teacher_purse.note(["ok"])
        return "done"

    assert calls("act", asks) == "done"
    with pytest.raises(TeacherFailedError, match=r"act\(\) was not done within 1 seconds"):
        calls("act", time.sleep, 2.2)
    calls.close()


def test_what_is_left_behind_spends_nothing_any_more() -> None:
    env = make()
    told: list[Any] = []
    context = dataenv.Context(env)

    class Stays(LoopsForGood):
        until = time.monotonic() + 8

        def act(self, observation: Any, info: dict[str, Any]) -> Any:
            super().act(observation, info)
            try:
                context.probe(context.pool()[:1])
            except BudgetSpentError as error:
                told.append(str(error))

    calls, began = Calls(env, 0.3), time.monotonic()
    with pytest.raises(TeacherFailedError, match="was not done within"):
        calls("act", Stays().act, None, {})
    assert time.monotonic() - began < 7
    time.sleep(max(0.0, Stays.until + 1 - time.monotonic()))
    assert told == ["the episode of this purse is over; fork the one that is taught now"]
    assert env.purse.spent == 0


def test_a_call_ends_when_everything_is_stopped() -> None:
    env = make()
    calls, began = Calls(env, 600.0), time.monotonic()
    threading.Timer(0.5, env.runner.stop).start()

    def loops() -> None:
        while True:
            pass

    with pytest.raises(TeacherFailedError, match="everything was stopped"):
        calls("act", loops)
    assert time.monotonic() - began < 20


def test_an_error_that_a_teacher_raises_comes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        dataenv.run(make(), lambda observation: 1 / 0, seed=0, act_deadline=60.0)


@pytest.mark.parametrize("left", [SystemExit(0), GeneratorExit()])
@pytest.mark.parametrize("limit", [None, 60.0])
def test_a_teacher_ends_no_process_whatever_the_limit(limit: float | None, left: BaseException) -> None:
    class Leaves(Weird):
        def act(self, observation: Any, info: dict[str, Any]) -> Any:
            raise left

    with pytest.raises(TeacherFailedError, match=type(left).__name__):
        dataenv.run(make(), Leaves(), seed=0, act_deadline=limit)


def test_an_error_is_one_sentence_with_its_place() -> None:
    def raises(error: BaseException) -> BaseException:
        try:
            raise error
        except BaseException as caught:
            return caught

    said = described(raises(ValueError("a\n\tb" + "c" * 10**6)))
    assert said.startswith("ValueError: a bccc")
    assert said.endswith(" in raises)")
    assert len(said) < 400
    assert described(ValueError()) == "ValueError (nowhere)"
    with pytest.raises(dataenv.ActionError) as refused:
        make().step(np.full(2, 2.0))
    assert described(refused.value).startswith("ActionError: action[0] (short) is 2.0")
    assert raised_here(refused.value)
    assert not raised_here(raises(StoreError("mine")))
    with pytest.raises(StoreError) as caught:
        Store(None).lesson("none")
    assert raised_here(caught.value)
