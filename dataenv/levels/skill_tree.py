"""Skill-tree: each skill has subskills; the teacher grows more of them, or deals the data out among those there are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from dataenv.errors import ActionError, SnapshotError
from dataenv.lessons.offer import Offer
from dataenv.lessons.scene import Scene
from dataenv.levels.base import Level, Plan, View, read_shares
from dataenv.levels.forest import Forest
from dataenv.levels.skill_list import student_fields, student_spaces
from dataenv.levels.spaces import unit_box

if TYPE_CHECKING:
    from dataenv.execution.jobs import Exam
    from dataenv.setting import Setting

FIELDS = ("explore", "data", "allocation")


class SkillTree(Level):
    """For each of ``k`` skills the teacher explores or exploits; ``m`` is the most subskills that a skill has.

    Action, a dict of three arrays:

    - ``explore``: ``MultiDiscrete``, ``(k,)`` whole numbers from 0 to ``m``: how many new subskills the skill grows, in
      the task's order, or as many as are left; 0 exploits.
    - ``data``: ``(k,)`` in [0, 1]: the allocation of each subskill that is grown now.
    - ``allocation``: ``(k, m)`` in [0, 1]: where a skill exploits, the new allocation of its subskills; a zero prunes.
      A skill that explores keeps the allocation it has. Places of subskills that are not grown are not read.

    A subskill's share of what the student is trained on next is its allocation over the sum of all. Where that sum is
    zero, as after an action of zeros, there is nothing to teach and the episode stops.

    The observation holds what skill-list shows and the forest: ``grown`` (0 or 1), ``allocation``, ``subskill_counts``
    (examples taught), ``subskill_accuracy``, each ``(k, m)``, and ``left``, ``(k,)``: subskills not grown yet.
    """

    name = "skill-tree"
    state = ("accuracy", "loss", "wrong", "score", "errors", "subskill_accuracy")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.forest = Forest(setting)
        k, m = self.shape = self.forest.shape
        shares = spaces.Box(0.0, 1.0, (k, m), np.float32)
        self.action_space = spaces.Dict(
            {"explore": spaces.MultiDiscrete(np.full(k, m + 1)), "data": unit_box(k), "allocation": shares}
        )
        self.observation_space = spaces.Dict(
            student_spaces(setting)
            | {
                "grown": shares,
                "left": spaces.Box(0.0, m, (k,), np.float32),
                "allocation": shares,
                "subskill_counts": spaces.Box(0.0, np.inf, (k, m), np.float32),
                "subskill_accuracy": shares,
            }
        )

    def begin(self) -> dict[str, Any]:
        """No subskill is grown."""
        return _memory(np.zeros(self.shape[0], np.int64), np.zeros(self.shape))

    def check(self, memory: Mapping[str, Any]) -> None:
        """See Level."""
        try:
            grown, allocation = self._recall(memory)
            read_shares(allocation, "allocation", self.shape, self.skills)
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"snapshot.memory is no forest ({error}); give env.snapshot() as it was") from None
        if grown.shape != self.forest.sizes.shape or (grown < 0).any() or (grown > self.forest.sizes).any():
            raise SnapshotError("snapshot.memory.grown does not fit the skills; give env.snapshot() as it was")

    @cached_property
    def exam(self) -> Exam | None:
        """Problems of every subskill of the task, those that are not grown included; see ``Forest.exam``."""
        return self.forest.exam

    def read(self, action: Any, memory: Mapping[str, Any]) -> Plan:
        """See Level."""
        if not isinstance(action, Mapping) or set(action) != set(FIELDS):
            got = sorted(map(str, action)) if isinstance(action, Mapping) else type(action).__name__
            raise ActionError(f"action is {got}; give a dict of {', '.join(FIELDS)}")
        k, m = self.shape
        explore = self._explore(action["explore"])
        data = read_shares(action["data"], "action['data']", (k,), self.skills)
        wanted = read_shares(action["allocation"], "action['allocation']", (k, m), self.skills)
        grown, allocation = self._recall(memory)
        after = np.minimum(grown + explore, self.forest.sizes)
        place = np.arange(m)[None, :]
        allocation = np.where(explore[:, None] > 0, allocation, wanted)
        allocation = np.where((place >= grown[:, None]) & (place < after[:, None]), data[:, None], allocation)
        allocation = np.where(place < after[:, None], allocation, 0.0)
        total = float(allocation.sum())
        if total == 0.0:
            return Plan(stop=True, memory=dict(memory))
        return Plan(lesson=allocation / total, memory=_memory(after, allocation))

    def make(self, plan: Plan, scene: Scene) -> Offer:
        """See Level."""
        return self.forest.compose(plan.lesson, scene, scene.setting.recipe_of(plan.recipe).data)

    def observe(self, view: View, memory: Mapping[str, Any]) -> dict[str, Any]:
        """See Level. What a subskill that is not grown would show is zero."""
        grown, allocation = self._recall(memory)
        there = np.arange(self.shape[1])[None, :] < grown[:, None]
        accuracy = self.forest.accuracy(view.answers, view.accuracy)
        return student_fields(view) | {
            "grown": there.astype(np.float32),
            "left": (self.forest.sizes - grown).astype(np.float32),
            "allocation": allocation.astype(np.float32),
            "subskill_counts": self.forest.count(view.lessons).astype(np.float32),
            "subskill_accuracy": np.where(there, accuracy, 0.0).astype(np.float32),
        }

    def _explore(self, values: Any) -> npt.NDArray[np.int64]:
        k, m = self.shape
        where, form = "action['explore']", f"give {k} whole numbers from 0 to {m}, one a skill"
        try:
            explore = np.asarray(values)
        except ValueError:
            raise ActionError(f"{where} is a {type(values).__name__}; {form}") from None
        if explore.shape != (k,) or explore.dtype.kind not in "iu":
            raise ActionError(f"{where} has shape {explore.shape} and holds {explore.dtype}; {form}")
        for i, n in enumerate(explore.tolist()):
            if not 0 <= n <= m:
                raise ActionError(
                    f"{where}[{i}] ({self.skills[i]}) is {n}; give a whole number from 0 to {m}, the most subskills "
                    "that a skill has"
                )
        return explore.astype(np.int64)

    def _recall(self, memory: Mapping[str, Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """How many subskills of each skill are grown, ``(k,)``, and the allocation, ``(k, m)``."""
        return np.asarray(memory["grown"], np.int64), np.asarray(memory["allocation"], np.float64)


def _memory(grown: npt.NDArray[np.int64], allocation: npt.NDArray[np.float64]) -> dict[str, Any]:
    return {"grown": grown.tolist(), "allocation": allocation.tolist()}
