"""Skill-list: the action is a mixture over skills, which the environment's engine turns into the lesson."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from dataenv.lessons.engines import engine_of, mixed
from dataenv.lessons.offer import Offer
from dataenv.lessons.scene import Scene
from dataenv.levels.base import Level, Plan, View, read_shares, scalar
from dataenv.levels.spaces import amounts, mistakes, unit_box

if TYPE_CHECKING:
    from dataenv.setting import Setting


class SkillList(Level):
    """Action ``Box(0, 1, (k,))``, normalised; all zeros stop. Observation: per-skill figures and errors."""

    name = "skill-list"
    state = ("accuracy", "loss", "wrong", "score", "errors")
    beside = "mixture"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._engine = engine_of(setting)
        self.action_space: spaces.Space[Any] = unit_box(len(self.skills))
        self.observation_space = spaces.Dict(student_spaces(setting))

    def read(self, action: Any, memory: Mapping[str, Any]) -> Plan:
        """See Level."""
        weights = read_shares(action, "action", (len(self.skills),), self.skills)
        total = float(weights.sum())
        return Plan(stop=True) if total == 0.0 else Plan(lesson=weights / total)

    def make(self, plan: Plan, scene: Scene) -> Offer:
        """See Level."""
        return mixed(self._engine, plan.lesson, scene)

    def observe(self, view: View, memory: Mapping[str, Any]) -> dict[str, Any]:
        """See Level."""
        return student_fields(view)


def student_spaces(setting: Setting) -> dict[str, spaces.Space[Any]]:
    """The spaces of ``student_fields``."""
    k = len(setting.built_task.skills)
    return {
        "accuracy": unit_box(k),
        "loss": amounts(k),
        "counts": amounts(k),
        "wrong": amounts(k),
        "score": unit_box(1),
        "budget": unit_box(1),
        "errors": mistakes(setting, "id", "skill", "prompt", "response", "answer"),
    }


def student_fields(view: View) -> dict[str, Any]:
    """What both structured levels show of the student and of what it was taught, skill by skill."""
    return {
        "accuracy": view.accuracy.astype(np.float32),
        "loss": view.loss.astype(np.float32),
        "counts": view.counts.astype(np.float32),
        "wrong": view.wrong.astype(np.float32),
        "score": scalar(view.score),
        "budget": scalar(view.budget),
        "errors": view.errors,
    }
