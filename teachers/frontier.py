"""``frontier``: teach what is sometimes right and sometimes wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from teachers.base import Teacher, as_action, require_share, with_floor


class Frontier(Teacher):
    """Shares proportional to ``p (1 - p)`` with p the accuracy of a skill: its *learnability* (SFL, arXiv 2408.15099).

    Largest at one half; nothing for what is mastered and nothing for what never succeeds. There SFL scores single items
    by several attempts, here a skill is scored by many items; the usual correction ``n / (n - 1)`` is the same factor
    for all skills and drops out.

    Args:
        floor: Share dealt out evenly. It is the only thing that ever moves a skill off accuracy 0, so it is larger than
            in ``failure``; TSCL's and ALP-GMM's share of random tasks is the precedent.
    """

    name: ClassVar[str] = "frontier"

    def __init__(self, floor: float = 0.2) -> None:
        self.floor = require_share("floor", floor)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Weigh skills by the variance of a right answer."""
        p = np.asarray(observation["accuracy"], np.float64)
        return as_action(with_floor(p * (1.0 - p), self.floor))
