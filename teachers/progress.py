"""``learning-progress``: teach what is changing."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from teachers.base import Floats, Teacher, as_action, require, require_share, require_whole, with_floor

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class LearningProgress(Teacher):
    """Shares proportional to the absolute slope of each skill's learning curve: TSCL (arXiv 1707.00183), window method.

    The slope is that of a least-squares line through the last ``window`` observations. It is taken absolute, as in the
    paper, so that a skill that is being forgotten is taught again. TSCL trains one task at a time and chooses it by the
    slope; where a lesson is a mixture, the slope gives the shares. Until there are two observations, shares are equal.

    Args:
        signal: ``loss`` or ``accuracy``. A skill can stand at accuracy 0 for long while its loss already falls, so
            accuracy starves the slow skills.
        window: Observations in the line, at least 2. Episodes have about ten steps, so it is short (TSCL's code: 10
            of hundreds); longer is steadier and later.
        floor: Share dealt out evenly, so that every slope goes on being measured.
    """

    name: ClassVar[str] = "learning-progress"

    def __init__(self, signal: Literal["loss", "accuracy"] = "loss", window: int = 3, floor: float = 0.2) -> None:
        require(signal in ("loss", "accuracy"), "signal", signal, "give 'loss' or 'accuracy'")
        require_whole("window", window, 2)
        self.signal, self.floor = signal, require_share("floor", floor)
        self._seen: deque[Floats] = deque(maxlen=window)

    def begin(self, context: Context) -> None:
        """Forget the curves of the episode before."""
        self._seen.clear()

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Look at the curves up to now and weigh skills by how steep they are."""
        self._seen.append(np.asarray(observation[self.signal], np.float64))
        return as_action(with_floor(np.abs(slopes(np.stack(self._seen))), self.floor))


def slopes(curves: Floats) -> Floats:
    """Least-squares slopes per step.

    Args:
        curves: ``(steps, k)``: one curve a column, equally spaced in time.

    Returns:
        ``(k,)``; zeros where there are fewer than two steps.
    """
    time = np.arange(len(curves), dtype=np.float64)
    time -= time.mean()
    spread = float(time @ time)
    return np.asarray(time @ curves / spread) if spread else np.zeros(curves.shape[1])
