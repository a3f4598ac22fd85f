"""``lookahead``: try a lesson of each of a few mixtures on branches, and teach the one that helped most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from teachers.base import Floats, Teacher, as_action, require, require_share, require_whole, with_floor

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class Lookahead(Teacher):
    """One step of lookahead, with the measured progress of the student as the worth of a lesson.

    That is SOAR's grounded reward (arXiv 2601.18778, section 3: accuracy after a short training less accuracy before,
    then the student reverts), used to choose among K drawn mixtures and not to train a teacher model. A branch draws on
    the purse that lessons draw on, so ``candidates`` lessons are paid for each choice, and the winner's once more when
    it is taught; a choice is kept for ``hold`` lessons. The candidates are the choice before, even shares, and mixtures
    drawn around them.

    Args:
        candidates: Mixtures that are tried at each choice, at least 2.
        hold: Lessons for which a choice is kept.
        concentration: Of the Dirichlet distribution that candidates are drawn from, a skill; below 1 they are peaked.
        floor: Share of each drawn mixture dealt out evenly.
    """

    name: ClassVar[str] = "lookahead"

    def __init__(self, candidates: int = 3, hold: int = 3, concentration: float = 1.0, floor: float = 0.3) -> None:
        require_whole("candidates", candidates, 2)
        require_whole("hold", hold)
        require(
            np.isfinite(concentration) and concentration > 0, "concentration", concentration, "give a number above 0"
        )
        self.candidates, self.hold, self.concentration = candidates, hold, concentration
        self.floor = require_share("floor", floor)

    def begin(self, context: Context) -> None:
        """Forget the episode before."""
        self._context, self._left = context, 0
        self._choice: Floats = np.full(len(context.skills), 1.0 / len(context.skills))

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Choose anew when the last choice has been taught ``hold`` times, and the purse pays for it and a lesson."""
        budget = self._context.budget
        if self._left == 0 and budget.remaining >= (self.candidates + 1) * budget.step_price:
            tried = self._mixtures()
            self._choice = tried[int(np.argmax(self._progress(tried)))]
            self._left = self.hold
        self._left = max(0, self._left - 1)
        return as_action(self._choice / self._choice.max())

    def _mixtures(self) -> list[Floats]:
        k, rng = len(self._choice), self._context.rng
        even = np.full(k, 1.0 / k)
        tried = [self._choice] if np.allclose(self._choice, even) else [self._choice, even][: self.candidates]
        while len(tried) < self.candidates:
            drawn = rng.dirichlet(np.full(k, self.concentration))
            tried.append(with_floor((drawn + self._choice) / 2, self.floor))
        return tried

    def _progress(self, tried: list[Floats]) -> Floats:
        """Gain in score by a lesson of each mixture on a branch; −1, the least, if it could not be paid."""
        lessons = self._context.try_lessons([as_action(m / m.max()) for m in tried])
        return np.array([trial.reward if trial.trained else -1.0 for trial in lessons], np.float64)
