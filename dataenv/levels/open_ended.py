"""Open-ended: the action is the examples themselves; the teacher brings its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from dataenv.errors import ActionError
from dataenv.lessons.offer import Offer
from dataenv.lessons.scene import Scene
from dataenv.levels.base import Level, Plan, View, scalar
from dataenv.levels.spaces import amounts, mistakes, records, unit_box
from tasks.records import Example

if TYPE_CHECKING:
    from dataenv.setting import Setting

LONGEST = 4096
"""Longest prompt or response in the action space, in characters. The screen keeps to the student's own limit."""


class OpenEnded(Level):
    """Action: a tuple of ``{"prompt", "response"}``; a list of ``Example`` is taken too; the empty tuple stops.

    No mistake in the observation names its skill: it shows how many feedback problems of each skill were answered
    wrongly, some of them, the score, and the budget left.
    """

    name = "open-ended"
    state = ("wrong", "score", "errors")
    beside = "examples"
    brings = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.action_space = records(prompt=LONGEST, response=LONGEST)
        self.observation_space = spaces.Dict(
            {
                "wrong": amounts(len(self.skills)),
                "score": unit_box(1),
                "budget": unit_box(1),
                "errors": mistakes(setting, "id", "prompt", "response", "answer"),
            }
        )

    def read(self, action: Any, memory: Mapping[str, Any]) -> Plan:
        """See Level. Bad examples are the screen's to count; only what is no sequence is refused."""
        if isinstance(action, str | bytes | Mapping | Example) or not isinstance(action, Sequence):
            raise ActionError(
                f"action is a {type(action).__name__}; give a tuple of {{'prompt', 'response'}} or a list of Example"
            )
        return Plan(stop=True) if not action else Plan(lesson=action)

    def make(self, plan: Plan, scene: Scene) -> Offer:
        """See Level. The teacher brought the examples; the engine has no part in it."""
        return Offer(plan.lesson, scene.lessons, taken=scene.taken)

    def observe(self, view: View, memory: Mapping[str, Any]) -> dict[str, Any]:
        """See Level."""
        keep = ("id", "prompt", "response", "answer", "media")
        return {
            "wrong": view.wrong.astype(np.float32),
            "score": scalar(view.score),
            "budget": scalar(view.budget),
            "errors": tuple({n: error[n] for n in keep if n in error} for error in view.errors),
        }
