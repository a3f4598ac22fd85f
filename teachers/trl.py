"""Language models as teachers that are trained: environments as TRL's ``GRPOTrainer`` takes them.

    trainer = GRPOTrainer(model, args=GRPOConfig(max_steps=100), environment_factory=environments("skill-list"))

A rollout is an episode: ``reset`` says in words how the student stands, every call of the tool ``teach`` is a step, and
``get_reward`` is what the student gained. TRL is not imported here: it finds tools by their names, type hints and
docstrings (``environment_factory`` in TRL 1.16, where it is experimental).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dataenv.environment.env import TeachingEnv
from dataenv.errors import ActionError, SettingError, nearest
from dataenv.execution.executors import make_executor
from dataenv.execution.runner import Runner
from dataenv.execution.store import open_store
from dataenv.setting import make_setting
from tasks.records import stream
from teachers.chat.prompts import render
from teachers.lessons import shuffled


def environments(
    level: str = "skill-list",
    *,
    seed: int = 0,
    errors: int = 4,
    store: str | None = None,
    executor: str | dict[str, Any] = "inline",
    **fields: Any,
) -> Callable[[], EpisodeRollout]:
    """What to give a trainer as its ``environment_factory``.

    All environments it makes share a store, so a lesson that two rollouts of a group give the same student is trained
    once. Rollouts of a row start from the same student: that of the row's column ``seed``, where the data set has one.

    Args:
        level: ``skill-list``, where a lesson is a weight for each skill, or ``open-ended``, where it is the examples.
        seed: Of the episodes, where the data set gives none.
        errors: Mistakes of the student that are shown at a time; 0 for none.
        store: See ``TeachingEnv``.
        executor: See ``TeachingEnv``.
        **fields: The fields of ``Setting``, as plain JSON.

    Raises:
        SettingError: If the level has no such environment, or a field is unknown or wrong.
    """
    kinds: dict[str, type[EpisodeRollout]] = {"skill-list": Weights, "open-ended": Examples}
    if level not in kinds:
        raise SettingError(f"level is {level!r}; give one of {', '.join(kinds)}")
    setting, runner = make_setting(fields), Runner(open_store(store), make_executor(executor))
    return lambda: kinds[level](TeachingEnv(level, runner=runner, setting=setting), seed, errors)


class EpisodeRollout:
    """One student, taught by tool calls. Public methods of a subclass are what the model may call.

    Args:
        env: Of the level that the subclass reads.
        seed: Of episodes whose row names none.
        errors: Mistakes that are shown at a time.
    """

    def __init__(self, env: TeachingEnv, seed: int, errors: int) -> None:
        self._env, self._default, self._errors = env, seed, errors
        self._total, self._over = 0.0, True

    def reset(self, **row: Any) -> str:
        """Start an episode with the untaught student of ``row["seed"]``; the other columns are not read.

        Returns:
            The task of the model, and how the student stands.
        """
        seed = row.get("seed")
        self._seed = self._default if seed is None else int(seed)
        observation, info = self._env.reset(seed=self._seed)
        self._total, self._over = 0.0, False
        return self._told(observation, info)

    def get_reward(self) -> float:
        """The gain on the selection split so far, in [-1, 1]; 0 for a model that never taught."""
        return self._total

    def _step(self, action: Any) -> str:
        """Teach a lesson and describe the student after it; TRL shows an ActionError to the model."""
        if self._over:
            raise ActionError("the training is over; answer without a tool call")
        observation, reward, terminated, truncated, info = self._env.step(action)
        self._total += float(reward)
        self._over = terminated or truncated
        return self._told(observation, info)

    def _told(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        rng = stream(self._seed, "rollout", int(info["step"]))
        shown = shuffled(observation["errors"], rng)[: self._errors]
        return render(
            "teachers:rollout.j2",
            rng,
            first=info["step"] == 0,
            listed="accuracy" in observation,
            skills=_rows(self._env.task.skills, observation),
            score=_percent(observation["score"][0]),
            shown=bool(shown),
            errors=shown,
            kept=info["kept"],
            offered=info["offered"],
            over=self._over,
            left=_percent(observation["budget"][0]),
        )


class Weights(EpisodeRollout):
    """A lesson is a mixture over skills."""

    def teach(self, weights: dict[str, float]) -> str:
        """Train the student on one lesson.

        Args:
            weights: How much of the lesson each skill gets, by the skill's name, from 0 to 1. A skill that is left out
                gets nothing; with no weight at all the training ends.

        Returns:
            How the student stands after the lesson.
        """
        given, skills = _read(weights), self._env.task.skills
        if not isinstance(given, Mapping):
            raise ActionError(f"weights is a {type(given).__name__}; give an object with a weight for each skill")
        action = np.zeros(len(skills))
        for name, weight in given.items():
            if name not in skills:
                near = nearest(str(name), skills) or skills[0]
                raise ActionError(f"weights names {name!r:.40}, which is no skill; give names such as {near!r}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < np.inf:
                raise ActionError(f"weights[{name!r}] is {weight!r:.40}; give a number that is not negative")
            action[skills.index(name)] = weight
        return self._step((action / max(1.0, action.max())).astype(np.float32))


class Examples(EpisodeRollout):
    """A lesson is the examples themselves."""

    def teach(self, examples: list[dict[str, str]]) -> str:
        """Train the student on one lesson.

        Args:
            examples: The lesson: objects with the fields prompt (a problem) and response (its answer, exactly as the
                student is to write it). With no examples at all the training ends.

        Returns:
            How the student stands after the lesson.
        """
        given = _read(examples)
        if not isinstance(given, list):
            raise ActionError(f"examples is a {type(given).__name__}; give a list of objects with prompt and response")
        return self._step(given)


def _read(argument: Any) -> Any:
    """An argument; a text of JSON is parsed, for models send that too."""
    if not isinstance(argument, str):
        return argument
    try:
        return json.loads(argument)
    except ValueError:
        raise ActionError("the argument is a text that is no JSON; give it as JSON") from None


def _rows(skills: tuple[str, ...], observation: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "accuracy" not in observation:
        return []
    figures = zip(skills, observation["accuracy"], observation["counts"], strict=True)
    return [{"skill": skill, "accuracy": _percent(a), "taught": int(n)} for skill, a, n in figures]


def _percent(share: float) -> int:
    return round(100 * float(share))
