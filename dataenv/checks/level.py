"""``check_level``: spaces, and what keeps to them; memory that is JSON; actions that are read or refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from gymnasium import spaces

from dataenv.checks.common import ContractError, class_of, demand, own_randomness, says_what_it_is
from dataenv.checks.teacher import QUICK
from dataenv.environment.env import TeachingEnv
from dataenv.errors import ActionError, SnapshotError
from dataenv.execution.jobs import Exam
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.levels.base import Level, Plan, View
from dataenv.setting import make_setting
from tasks.records import canonical_json

SAMPLES = 20
"""Actions that are drawn from the action space."""
NO_ACTIONS = (None, "words", 3.5, float("nan"), object())
"""What is no action at any level."""


def check_level(level: str | type[Level], setting: dict[str, Any] | None = None) -> None:
    """Check a level: its spaces, its reading of actions, its memory; a registered one by a step of an episode too.

    Args:
        level: A registered name, or a class.
        setting: Fields of the Setting that it is made for.

    Raises:
        ContractError: With the first rule that is broken.
    """
    kind = class_of("level", level, Level)
    says_what_it_is("level", kind)
    made = kind(make_setting(setting or QUICK))
    with own_randomness("the level"):
        _level_spaces(made)
        memory = _level_memory(made, made.begin(), "begin()")
        _level_observes(made, memory)
        _level_reads(made, memory)
        _level_refuses(made, memory)
    if isinstance(level, str):
        _level_plays(level, setting or QUICK)


def _level_spaces(level: Level) -> None:
    name = getattr(level, "name", None)
    demand(isinstance(name, str) and bool(name), f"name is {name!r}; set it to a word on the class")
    for field, kind in (("action_space", spaces.Space), ("observation_space", spaces.Dict)):
        space = getattr(level, field, None)
        demand(isinstance(space, kind), f"{field} is {space!r:.60}; set it to a {kind.__name__} of Gymnasium")
    unknown = set(level.state) - set(level.observation_space.spaces)
    demand(not unknown, f"state names {sorted(unknown)}, which observation_space does not hold; name fields of it")
    exam = level.exam
    demand(exam is None or isinstance(exam, Exam), f"exam is {type(exam).__name__}; give an Exam or None")


def _level_memory(level: Level, memory: Any, where: str) -> dict[str, Any]:
    demand(isinstance(memory, dict), f"the memory of {where} is a {type(memory).__name__}; give a dict")
    try:
        back: dict[str, Any] = json.loads(canonical_json(memory))
    except (TypeError, ValueError) as error:
        raise ContractError(f"the memory of {where} is no JSON ({error}); give lists, numbers and texts") from error
    demand(back == memory, f"the memory of {where} comes back from JSON as something else; give lists and text keys")
    try:
        level.check(back)
    except SnapshotError as error:
        raise ContractError(f"check() refuses the memory of {where} ({error}); let it pass") from error
    try:
        level.check({"strange": [1]})
    except SnapshotError:
        return back
    raise ContractError("check() lets a strange memory pass; raise a SnapshotError for what the level cannot have left")


def _view(level: Level) -> View:
    k = len(level.skills)
    exam = level.exam
    error = {"id": "1", "skill": level.skills[0], "prompt": "a prompt", "response": "wrong", "answer": "right"}
    return View(
        accuracy=np.full(k, 0.5), loss=np.ones(k), counts=np.zeros(k, np.int64), wrong=np.ones(k, np.int64), score=0.5,
        budget=1.0, errors=(error,), answers=("",) * (len(exam.prompts) if exam else 0),
    )  # fmt: skip


def _level_observes(level: Level, memory: dict[str, Any]) -> None:
    view = _view(level)
    first, second = level.observe(view, memory), level.observe(view, memory)
    for name, space in level.observation_space.spaces.items():
        demand(name in first, f"observe() gives no {name!r}, which observation_space holds; give it")
        fits = space.contains(first[name])
        demand(fits, f"observe() gives {name!r} as {first[name]!r:.60}, not in {space!r:.60}; mind shape and dtype")
    fits = level.observation_space.contains(first)
    demand(fits, f"observe() gives {sorted(first)}, and observation_space holds other fields; give those alone")
    shared = [n for n, value in first.items() if isinstance(value, np.ndarray) and np.shares_memory(value, second[n])]
    demand(not shared, f"observe() gives the same array {shared} twice; give a fresh one, for teachers write")


def _level_reads(level: Level, memory: dict[str, Any]) -> None:
    level.action_space.seed(0)
    for _ in range(SAMPLES):
        action = level.action_space.sample()
        try:
            plan = level.plan(action, memory)
        except ActionError as error:
            raise ContractError(f"plan() refuses {action!r:.60}, a sample of action_space ({error})") from error
        demand(isinstance(plan, Plan), f"read() gives {type(plan).__name__}; give a Plan")
        lesson = plan.stop or plan.lesson is not None
        demand(lesson, "read() gives a Plan that neither stops nor has a lesson; say what is taught")
        _level_memory(level, plan.memory, "read()")


def _level_refuses(level: Level, memory: dict[str, Any]) -> None:
    for action in NO_ACTIONS:
        try:
            level.plan(action, memory)
        except ActionError:
            continue
        except Exception as error:
            raise ContractError(
                f"read() of {action!r:.30} raises {type(error).__name__} ({error!s:.60}); raise an ActionError"
            ) from error
        raise ContractError(f"read() takes {action!r:.30} for an action; raise an ActionError that says what one is")


def _level_plays(level: str, setting: dict[str, Any]) -> None:
    env = TeachingEnv(level, runner=Runner(Store()), **(setting | {"warm_start": {"examples": 0}}))
    seen, _ = env.reset(seed=0)
    demand(env.observation_space.contains(seen), "the first observation of an episode is not in observation_space")
    env.action_space.seed(1)
    seen, *_ = env.step(env.action_space.sample())
    demand(env.observation_space.contains(seen), "the observation after a step is not in observation_space")
