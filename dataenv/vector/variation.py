"""Simulated students that depart from the fitted curves, for a teacher that is trained on them.

An optimiser finds what a model has wrong: a schedule climbed to on the fitted curves was worth 60.1 % there and 52.9 %
on real students (docs/simulated.md). So students are drawn around the curves, and what is learnt has to hold for all.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from dataenv.setting import Setting
from students.simulated import Simulated
from students.simulated.model import Dynamics
from tasks.records import Record

Floats = npt.NDArray[np.float64]
Deviation = Annotated[float, Field(ge=0, le=3)]


class Variation(Record):
    """How far students depart from the curves: standard deviations of logarithms, 0 for not at all.

    Attributes:
        speed: Of how fast a student learns altogether.
        spread: Of how much its skills differ in pace.
        learn: Of each entry of what teaches what.
        forget: Of forgetting altogether, and again of each entry of what makes forget what.
        shelter: Of how far rehearsing a skill shelters it.
    """

    speed: Deviation = 0.3
    spread: Deviation = 0.3
    learn: Deviation = 0.4
    forget: Deviation = 0.5
    shelter: Deviation = 0.7


class Varied:
    """The students of a vector, one a sub-environment, drawn anew at each of its episodes.

    Args:
        variation: How far they depart.
        student: Whose curves they depart from.
        setting: Whose warm start they have.
        n: How many.
    """

    def __init__(self, variation: Variation, student: Simulated, setting: Setting, n: int) -> None:
        self._by, self._student, k = variation, student, len(student.curves.skills)
        self._own = Dynamics(np.zeros((n, k, k)), np.zeros((n, k, k)), np.zeros((n, 1)))
        warm = setting.warm_training(0)  # of another seed it holds the same skills in the same shares, but for luck
        self._prior = np.zeros(k) if warm is None else student.shares(warm.lesson)
        self._effort = 0.0 if warm is None else student.effort(warm.recipe)

    def of(self, rows: npt.NDArray[np.int64]) -> Dynamics:
        """The dynamics of some sub-environments."""
        return Dynamics(*(part[rows] for part in self._own))

    def begin(self, i: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw the student of sub-environment ``i``: its losses after the warm start and its pace, ``(k,)`` each."""
        by, model, student = self._by, self._student.model, self._student

        def near(values: npt.ArrayLike, deviation: float, shape: tuple[int, ...] = ()) -> Floats:
            return np.asarray(values * np.exp(deviation * rng.standard_normal(shape)))

        k, (learn, forget, shelter) = len(model.ceiling), model.dynamics
        self._own.learn[i] = near(learn[0], by.learn, (k, k))
        self._own.forget[i] = near(near(forget[0], by.forget), by.forget, (k, k))
        self._own.shelter[i] = near(shelter[0], by.shelter)
        pace = near(near(student.speed, by.speed), float(near(student.spread, by.spread)), (k,))
        own = self.of(np.array([i]))
        loss = model.after(model.ceiling[None], pace[None], self._prior[None], self._effort, own)[0]
        return loss, pace
