"""``random``: another mixture at every step, drawn from the whole simplex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from teachers.base import Teacher, as_action

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class RandomMixture(Teacher):
    """A Dirichlet(1, …, 1) mixture at each step, from the teacher's own generator.

    It is the control for *unevenness*: ``stratified`` teaches the same amounts on average, but evenly in every lesson.
    """

    name: ClassVar[str] = "random"

    def begin(self, context: Context) -> None:
        """Keep the generator."""
        self._rng = context.rng

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """A point of the simplex, all equally likely."""
        return as_action(self._rng.dirichlet(np.ones(len(observation["accuracy"]))))
