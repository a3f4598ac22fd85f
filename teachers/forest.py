"""Teachers of the skill-tree level: the even forest, DataEnvGym's two policies, and the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from teachers.base import Floats, Level, Teacher, require_share, require_whole

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Counts = npt.NDArray[np.int64]
Action = dict[str, npt.NDArray[Any]]


class ForestTeacher(Teacher):
    """What teachers of the level share: its name."""

    level: ClassVar[Level] = "skill-tree"


class EvenForest(ForestTeacher):
    """Grows every subskill at once and teaches all skills equally, and within a skill all subskills.

    What the others of the level are measured against: ``stratified``, one floor down. It never looks at the student.
    """

    name: ClassVar[str] = "even-forest"

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Action:
        """Grow what is left, or an even allocation."""
        if observation["left"].any():
            return grow(observation, most=observation["grown"].shape[1])
        return exploit(even(observation))


class Alternating(ForestTeacher):
    """Explore and exploit in turns: DataEnvGym's ``AlternatingExploreExploit`` (arXiv 2410.06215, appendix B.5).

    An exploring step grows ``new`` subskills of every skill; an exploiting one deals the data out evenly. There the
    exploiting step took all data away, so that every other fine-tune had nothing new to see. It reads the forest and
    never the student, as it did there.

    Args:
        new: Subskills grown at once, at least 1.
    """

    name: ClassVar[str] = "alternating"

    def __init__(self, new: int = 1) -> None:
        self.new = require_whole("new", new)

    def begin(self, context: Context) -> None:
        """Start by exploring."""
        self._explores = True

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Action:
        """Grow or even out, in turns; only the latter once all are grown."""
        explores, self._explores = self._explores and observation["left"].any(), not self._explores
        return grow(observation, self.new) if explores else exploit(even(observation))


class FillBalanced(ForestTeacher):
    """Grow first, then fill: DataEnvGym's policy of the paper's skill-tree results (arXiv 2410.06215, appendix B.5).

    Until every skill has ``subskills`` of them it explores and exploits in turns. Then a lesson goes to those that have
    been taught least, so that the counts of all become equal. It reads the forest and never the student.

    Args:
        subskills: Of each skill, or as many as it has; at least 1.
        new: Grown at once, at least 1.
    """

    name: ClassVar[str] = "fill-balanced"

    def __init__(self, subskills: int = 3, new: int = 1) -> None:
        self.subskills, self.new = require_whole("subskills", subskills), require_whole("new", new)

    def begin(self, context: Context) -> None:
        """Start by exploring."""
        self._explores, self._lesson = True, context.lesson_size

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Action:
        """One move of the phase that the forest is in."""
        wanting = np.maximum(self.subskills - observation["grown"].sum(1), 0)
        growing = np.minimum(wanting, observation["left"]).any()
        explores, self._explores = self._explores, not self._explores
        if growing and explores:
            return grow(observation, np.minimum(wanting, self.new))
        return exploit(even(observation) if growing else self._fill(observation))

    def _fill(self, observation: dict[str, Any]) -> Floats:
        """What each subskill lacks of an equal count after the next lesson."""
        there, counts = observation["grown"] > 0, observation["subskill_counts"].astype(np.float64)
        level = (counts[there].sum() + self._lesson) / there.sum()
        return np.where(there, np.maximum(level - counts, 0.0), 0.0)


class Threshold(ForestTeacher):
    """A skill below the threshold explores, for what it has does not do; when all is grown, its errors get the data.

    A skill at or above the threshold is rehearsed: its subskills keep a small allocation and no more.

    Args:
        threshold: Accuracy on the feedback split, in [0, 1].
        keep: Allocation of a subskill of a skill that is above it, in [0, 1]; 1 is that of one always wrong.
    """

    name: ClassVar[str] = "threshold"

    def __init__(self, threshold: float = 0.9, keep: float = 0.1) -> None:
        self.threshold, self.keep = require_share("threshold", threshold), require_share("keep", keep)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Action:
        """Explore, exploit or rehearse, skill by skill."""
        there, wrong = observation["grown"] > 0, observation["accuracy"] < self.threshold
        explore = np.where(wrong | ~there[:, 0], np.minimum(observation["left"], 1), 0)
        errors = np.maximum(1.0 - observation["subskill_accuracy"], self.keep)
        allocation = np.where(there, np.where(wrong[:, None], errors, self.keep), 0.0)
        if not allocation.any() and not explore.any():  # all is mastered, and nothing kept: there is no lesson to give
            allocation = even(observation)
        return tree_action(explore, np.where(wrong, 1.0, self.keep), allocation)


# --- moves


def tree_action(explore: npt.ArrayLike, data: npt.ArrayLike, allocation: npt.ArrayLike) -> Action:
    """An action of the level, of arrays ``(k,)``, ``(k,)`` and ``(k, m)``."""
    return {
        "explore": np.asarray(explore).astype(np.int64),
        "data": np.clip(data, 0.0, 1.0).astype(np.float32),
        "allocation": np.clip(allocation, 0.0, 1.0).astype(np.float32),
    }


def grow(observation: dict[str, Any], most: int | npt.NDArray[Any]) -> Action:
    """Grow some new subskills of every skill, each with the data that the skill's others have.

    A skill that cannot grow goes on evenly; one that grows keeps what it allocates, so a new subskill gets the mean of
    that, and a first one an equal share of its skill.
    """
    explore = np.minimum(observation["left"], most).astype(np.int64)
    grown = observation["grown"].sum(1)
    mean = observation["allocation"].sum(1) / np.maximum(grown, 1)
    data = np.where(grown > 0, mean, 1.0 / np.maximum(explore, 1))
    return tree_action(explore, data, even(observation))


def exploit(weights: Floats) -> Action:
    """Allocate in proportion to weights ``(k, m)``, non-negative; the largest becomes 1."""
    k = len(weights)
    return tree_action(np.zeros(k), np.zeros(k), weights / max(weights.max(), 1e-12))


def even(observation: dict[str, Any]) -> Floats:
    """Weights ``(k, m)``: skills equally, and within a skill the subskills that are grown."""
    there = observation["grown"] > 0
    return np.asarray(there / np.maximum(there.sum(1, keepdims=True), 1))
