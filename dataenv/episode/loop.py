"""An episode: a teacher and an environment. What a teacher is given, and the loop between the two."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dataenv.environment.branch import Env, unwrap
from dataenv.environment.steps import StepRecord
from dataenv.episode.context import Context
from dataenv.errors import BudgetSpentError, SettingError
from dataenv.lessons.outage import require_answer
from dataenv.snapshot import Snapshot


class Transition(NamedTuple):
    """What a teacher may learn from."""

    observation: Any
    action: Any
    reward: float
    next_observation: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]


@dataclass(frozen=True)
class Episode:
    """An episode that ended.

    Attributes:
        steps: One record a step; the first is the untaught student's.
        total_reward: Sum of the rewards.
        snapshot: Its last moment.
    """

    steps: tuple[StepRecord, ...]
    total_reward: float
    snapshot: Snapshot


def run(env: Env, teacher: Any, seed: int, on_step: Callable[[StepRecord], None] | None = None) -> Episode:
    """Let a teacher teach one episode.

    Args:
        env: From ``gym.make``, in any wrappers.
        teacher: An object with ``act(observation, info)`` (and, if it likes, ``begin(context)`` and
            ``learn(transition)``), or a plain function of the observation.
        seed: Of the episode: the untaught student, the data, every order, and the teacher's own generator.
        on_step: Called with each step's record, before the teacher is told of the step.

    Raises:
        SettingError: If the teacher cannot begin, or its ``prior_compute`` is no number of student tokens.
        UnansweredError: If nobody could be asked what a teacher asked of its language model before a lesson; also where
            that was so of what it asked last, and no lesson came of it. What it asked before is stored.

    A teacher that asks for more than the purse holds, and does not catch the BudgetSpentError that it gets, has spent
    its budget: the episode ends there as ``spent``, and what its student has learnt counts.
    """
    inner = unwrap(env)
    observation, info = env.reset(seed=seed)
    begin, act, learn = _parts(teacher)
    tell = on_step or (lambda record: None)
    prior_compute(teacher)  # one that cannot be written down is refused before anything is spent
    total, over = 0.0, False
    try:
        tell(inner.history[-1])
        _begin(teacher, begin, Context(inner))
        while not over and not inner.finishing:
            before = Counter(inner.teacher_purse.replies)
            action = act(observation, info)
            asked = inner.teacher_purse.replies - before
            require_answer(asked)
            after, reward, terminated, truncated, info = env.step(action)
            total, over = total + float(reward), terminated or truncated
            tell(inner.history[-1])
            if inner.teacher_purse.replies != before and not inner.history[-1].offered:
                require_answer(inner.teacher_purse.last)
            learn(Transition(observation, action, float(reward), after, terminated, truncated, info))
            observation = after
    except BudgetSpentError:  # the teacher asked for more than there is, and did not catch what it was told
        if not over:
            over = inner.exhaust()[3]
            tell(inner.history[-1])
    while inner.finishing:  # nobody is asked any more
        total += float(inner.step(None)[1])
        tell(inner.history[-1])
    return Episode(tuple(inner.history), total, inner.snapshot())


def prior_compute(teacher: Any) -> int:
    """Student tokens that a teacher says it used before ``reset``; 0 where it says nothing.

    Raises:
        SettingError: If that is no whole number, or negative.
    """
    said = getattr(teacher, "prior_compute", 0)
    if isinstance(said, bool) or not isinstance(said, int | np.integer) or said < 0:
        raise SettingError(
            f"prior_compute of teacher {type(teacher).__name__} is {said!r}; give a whole number of student tokens, "
            "0 or more"
        )
    return int(said)


def _begin(teacher: Any, begin: Callable[[Context], Any], context: Context) -> None:
    try:
        begin(context)
    except ValueError as error:
        raise SettingError(f"teacher {type(teacher).__name__} cannot begin: {error}") from error


def _parts(teacher: Any) -> tuple[Callable[[Context], Any], Callable[[Any, Any], Any], Callable[[Transition], Any]]:
    """``begin``, ``act`` and ``learn`` of a teacher; a function is its own ``act``."""
    if hasattr(teacher, "act"):
        ignore = lambda _: None  # noqa: E731
        return getattr(teacher, "begin", ignore), teacher.act, getattr(teacher, "learn", ignore)
    if not callable(teacher):
        raise SettingError(
            f"teacher is a {type(teacher).__name__}; give an object with act(observation, info), or a function"
        )
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(teacher).parameters.values()
    takes = len([p for p in parameters if p.kind in places and p.default is p.empty])
    act = teacher if takes >= 2 else lambda observation, info: teacher(observation)
    return lambda _: None, act, lambda _: None
