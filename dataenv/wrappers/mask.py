"""Masks: the same environment, with fields of its observation blanked. The ablation with and without state is this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from dataenv.environment.branch import Env, unwrap
from dataenv.errors import SettingError, did_you_mean
from dataenv.levels import Level

STATE = "state"
"""In place of names: all fields that tell of the student."""


class Mask(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Blank fields of the observation: numbers become zeros, and records none. Spaces stay as they are.

    What is masked is masked in ``info`` too (``score``). The reward stays, for it is the aim of the teacher and not
    what it is shown. What a teacher pays for stays too (probes, samples, branches).

    Args:
        env: Of any level, unwrapped or in wrappers that keep the observation a dict.
        fields: Names of fields, or ``state`` for all that tell of the student at this level.

    Raises:
        SettingError: If the level has no such field, or what is observed is no dict any more.
    """

    def __init__(self, env: Env, fields: Sequence[str] = (STATE,)) -> None:
        RecordConstructorArgs.__init__(self, fields=list(fields))  # so that env.spec tells of this wrapper too
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.observation_space, spaces.Dict):
            kind = type(env.observation_space).__name__
            raise SettingError(f"observation_space of env is a {kind}; put the mask below: numeric(Mask(env))")
        self.fields = masked_fields(unwrap(env).level, fields)

    def reset(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """See TeachingEnv."""
        observation, info = self.env.reset(**given)
        return self._blank(observation), self._blank_info(info)

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """See TeachingEnv."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._blank(observation), reward, terminated, truncated, self._blank_info(info)

    def _blank(self, observation: dict[str, Any]) -> dict[str, Any]:
        return {n: _nothing(value) if n in self.fields else value for n, value in observation.items()}

    def _blank_info(self, info: dict[str, Any]) -> dict[str, Any]:
        return {name: 0.0 if name in self.fields else value for name, value in info.items()}


def masked(env: Env, fields: Sequence[str]) -> Env:
    """The environment, behind a mask if any field is named."""
    return Mask(env, fields) if fields else env


def masked_fields(level: Level, asked: Sequence[str]) -> frozenset[str]:
    """The fields of a level's observation that names stand for.

    Raises:
        SettingError: If the level has no such field.
    """
    if isinstance(asked, str):
        raise SettingError(f"mask is the text {asked!r}; give a list of fields, such as [{asked!r}]")
    known = list(level.observation_space)
    for name in asked:
        if name not in (STATE, *known):
            hint = did_you_mean(name, [STATE, *known], f"give 'state' or some of {', '.join(known)}.")
            raise SettingError(f"mask names {name!r}, which is no field of level {level.name!r}; {hint}")
    return frozenset(f for name in asked for f in (level.state if name == STATE else (name,)))


def _nothing(value: Any) -> Any:
    return np.zeros_like(value) if isinstance(value, np.ndarray) else ()
