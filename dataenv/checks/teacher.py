"""``check_teacher``: actions that are actions, equal ones for equal seeds, and an end."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from dataenv.checks.common import ContractError, demand, own_randomness
from dataenv.environment.branch import unwrap
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.episode.loop import run
from dataenv.episode.teacher import AdaptedTeacher, Transition, as_teacher, build_teacher
from dataenv.errors import ActionError, SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.waiting import waiting
from tasks.records import Example

LONGEST_EPISODE = 1000
QUICK: dict[str, Any] = {
    "task": "arithmetic",
    "student": "pocket",
    "student_args": {"width": 16, "layers": 1, "heads": 2, "context": 32},
    "warm_start": {"examples": 256, "recipe": {"updates": 8, "batch": 16, "rate": 0.01}},
    "recipe": {"updates": 4, "batch": 16, "rate": 0.01, "replay": 0.25},
    "lesson_size": 64,
    "items": {"feedback": 3, "selection": 3, "test": 1, "transfer": 0},
    "budget": {"student_tokens": 20_000},
}
"""The Setting in which teachers are checked unless told otherwise: a real student, an episode of about seven steps."""


def check_teacher(teacher: Any, make_env: Callable[[], Any] | None = None) -> None:
    """Check a teacher by two short episodes of equal seed.

    Args:
        teacher: A registered name, a class, an object, or a function observation -> action.
        make_env: Gives an environment of the teacher's level; by default a very small one on ``arithmetic``.

    Raises:
        ContractError: With the first rule that is broken.
    """
    level = _teacher_new(teacher).level
    if make_env is None:
        runner = Runner(Store())  # shared, so that the second episode trains nothing
        make_env = lambda: TeachingEnv(level, runner=runner, **QUICK)  # noqa: E731
    first, second = (_Watched(_teacher_new(teacher), make_env()) for _ in range(2))
    with waiting("checking the teacher by two short episodes …"):
        for watched in (first, second):
            run(watched.env, watched, seed=0)
    same = len(first.actions) == len(second.actions) and all(map(_equal, first.actions, second.actions))
    demand(
        same, "two episodes of seed 0 got different actions; draw from context.rng and nowhere else, forget at begin()"
    )


def _teacher_new(teacher: Any) -> AdaptedTeacher:
    """A teacher that has not taught yet."""
    if isinstance(teacher, str):
        return build_teacher(teacher)
    try:
        new = teacher if inspect.isclass(teacher) else copy.deepcopy(teacher)
    except Exception as error:
        raise ContractError(f"teacher cannot be copied ({error}); give its class or registered name instead") from error
    try:
        return as_teacher(new() if inspect.isclass(new) else new)
    except SettingError as error:  # of an object that is at hand, this is a rule that it breaks
        raise ContractError(str(error)) from error


class _Watched:
    """A teacher under test: every rule is checked at every step."""

    def __init__(self, teacher: AdaptedTeacher, env: Any) -> None:
        self.env, self.inner = env, unwrap(env)
        self._teacher = teacher
        self.actions: list[Any] = []

    def begin(self, context: Context) -> None:
        with own_randomness("begin()"):
            self._teacher.begin(context)

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        where = f"act() at step {len(self.actions)}"
        demand(len(self.actions) < LONGEST_EPISODE, f"{where} sees no end; check it in a Setting with a smaller budget")
        seen, told = copy.deepcopy(observation), copy.deepcopy(info)
        with own_randomness("act()"):
            action = self._teacher.act(observation, info)
        intact = _equal(seen, observation) and _equal(told, info)
        demand(intact, f"{where} writes into what it was shown; copy before you change")
        self._is_action(where, action)
        self.actions.append(copy.deepcopy(action))
        return action

    def learn(self, transition: Transition) -> None:
        with own_randomness("learn()"):
            self._teacher.learn(transition)

    def _is_action(self, where: str, action: Any) -> None:
        try:
            self.inner.level.plan(action, self.inner.snapshot().memory)
        except ActionError as error:
            raise ContractError(f"{where}: {error}") from error
        if self.inner.setting.recipes and isinstance(action, dict) and "recipe" in action:
            action = {key: value for key, value in action.items() if key != "recipe"}
            action = action.get(self.inner.level.beside, action)
        if isinstance(action, list | tuple):  # a list of Example is taken as well
            action = tuple(
                {"prompt": e.prompt, "response": e.response} if isinstance(e, Example) else e for e in action
            )
        demand(
            self.inner.action_space.contains(action),
            f"{where} gives {action!r:.80}, not in {self.inner.action_space!r:.80}; mind shape, range and dtype",
        )


def _equal(one: Any, other: Any) -> bool:
    """Whether two observations or actions are the same, arrays included."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    return bool(one == other)
