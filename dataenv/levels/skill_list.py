"""Skill-list: the action is a mixture over skills, which the environment's engine turns into the lesson."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from dataenv.errors import ActionError
from dataenv.levels.base import TEXT, Level, Plan, View, cut, scalar
from dataenv.spaces import records, unit_box


class SkillList(Level):
    """Action ``Box(0, 1, (k,))``, normalised; all zeros stop. Observation: per-skill figures and errors."""

    name = "skill-list"

    def __init__(self, skills: tuple[str, ...], lesson_size: int) -> None:
        super().__init__(skills, lesson_size)
        k = len(skills)
        self.action_space = unit_box(k)
        self.observation_space = spaces.Dict(
            {
                "accuracy": unit_box(k),
                "loss": spaces.Box(0.0, np.inf, (k,), np.float32),
                "counts": spaces.Box(0.0, np.inf, (k,), np.float32),
                "score": unit_box(1),
                "budget": unit_box(1),
                "errors": records(skill=TEXT, prompt=TEXT, response=TEXT, answer=TEXT),
            }
        )

    def read(self, action: Any) -> Plan:
        """See Level. Rounding a hair outside [0, 1] is clipped; anything more is refused."""
        k = len(self.skills)
        try:
            weights = np.asarray(action, dtype=np.float64)
        except (TypeError, ValueError):
            raise ActionError(
                f"action is a {type(action).__name__}; give {k} numbers from 0 to 1, one a skill"
            ) from None
        if weights.shape != (k,):
            raise ActionError(f"action has shape {weights.shape}; give shape ({k},), one number from 0 to 1 a skill")
        for i, weight in enumerate(weights):
            if not np.isfinite(weight) or weight < -1e-6 or weight > 1 + 1e-6:
                raise ActionError(f"action[{i}] ({self.skills[i]}) is {weight}; give a number from 0 to 1")
        weights = np.clip(weights, 0.0, 1.0)
        total = float(weights.sum())
        return Plan(stop=True) if total == 0.0 else Plan(mixture=weights / total)

    def observe(self, view: View) -> dict[str, Any]:
        """See Level."""
        return {
            "accuracy": view.accuracy.astype(np.float32),
            "loss": view.loss.astype(np.float32),
            "counts": view.counts.astype(np.float32),
            "score": scalar(view.score),
            "budget": scalar(view.budget),
            "errors": tuple({name: cut(text) for name, text in error.items()} for error in view.errors),
        }
