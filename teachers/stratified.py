"""``stratified``: every skill equally. ``static``: any other fixed mixture. Neither looks at the student."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dataenv.errors import did_you_mean
from teachers.base import Teacher, as_action, require, with_floor

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class Stratified(Teacher):
    """The uniform mixture over skills, at every step.

    What the others are measured against: of the mixing methods that Aioli (arXiv 2411.05735) re-ran, none beat it on
    all data sets.
    """

    name: ClassVar[str] = "stratified"

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Equal shares."""
        return as_action(with_floor(np.ones(len(observation["accuracy"])), 0.0))


class Static(Teacher):
    """A mixture that is fixed beforehand. The board looks for the best of many in hindsight, on other seeds.

    Args:
        weights: Skill to weight.
        other: The weight of every skill that is not named; at 0 those are not taught. Weights are normalised.
    """

    name: ClassVar[str] = "static"

    def __init__(self, weights: Mapping[str, float], other: float = 0.0) -> None:
        require(math.isfinite(other) and other >= 0, "other", other, "give a finite number >= 0")
        for skill, weight in weights.items():
            require(math.isfinite(weight) and weight >= 0, f"weights.{skill}", weight, "give a finite number >= 0")
        require(
            other + sum(weights.values()) > 0, "weights", dict(weights), "give at least one skill a weight above zero"
        )
        self.weights, self.other = dict(weights), other
        self._mixture: npt.NDArray[np.float64] | None = None

    def begin(self, context: Context) -> None:
        """Put the weights in the order of the skills.

        Raises:
            ValueError: If a weight is given to a skill that the task does not have.
        """
        for skill in self.weights:
            if skill not in context.skills:
                hint = did_you_mean(skill, context.skills, f"the task has {', '.join(context.skills)}.")
                raise ValueError(f"weights names skill {skill!r}, which the task does not have; {hint}")
        self._mixture = with_floor([self.weights.get(skill, self.other) for skill in context.skills], 0.0)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The mixture.

        Raises:
            RuntimeError: Before ``begin``, for the order of the skills is not known.
        """
        if self._mixture is None:
            raise RuntimeError("static was asked to act before begin(context), which tells it the order of the skills")
        return as_action(self._mixture)
