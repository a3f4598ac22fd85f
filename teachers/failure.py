"""``failure``: teach what goes wrong, as often as it does."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from teachers.base import Teacher, as_action, require, require_share, with_floor


class Failure(Teacher):
    """Shares proportional to ``(1 - accuracy) ** alpha``, with a floor.

    The common core of error-driven selection, without anything that STAT or prioritised replay add. Its known fault is
    part of why it is here: a skill that cannot be learnt stays wrong and is paid for ever.

    Args:
        alpha: 1 weighs a skill by its error rate; larger goes more to the hardest. 0 is ``stratified``.
        floor: Share dealt out evenly, so that mastered skills are not forgotten at once.
    """

    name: ClassVar[str] = "failure"

    def __init__(self, alpha: float = 1.0, floor: float = 0.1) -> None:
        require(0.0 <= alpha < np.inf, "alpha", alpha, "give a finite number >= 0")
        self.alpha, self.floor = alpha, require_share("floor", floor)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Weigh skills by their errors on the feedback split."""
        accuracy = np.asarray(observation["accuracy"], np.float64)
        return as_action(with_floor((1.0 - accuracy) ** self.alpha, self.floor))
