"""The learning curves of ``simulated``: Skill-It's dynamics, with forgetting.

Skill-It assumes ``L_j(t+1) = L_j(t) (1 - A[:, j] . p_t)`` of the loss on skill j under a mixture p (arXiv 2307.14430,
section 3.3). Here training on other skills also drives a loss back to what it is with nothing learnt, c_j (forgetting
and interference):

    dL_j/du = -g_j L_j + f_j (c_j - L_j),      g = p A,  f_j = (p F)_j exp(-h p_j),

with u the optimiser updates, both matrices non-negative, rows teaching columns, and h the shelter that rehearsal gives.
Under a fixed mixture that is linear, so a lesson is one closed form however long it is. The share of right answers is
``exp(-s_j L_j)``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.records import Record, stream

Floats = npt.NDArray[np.float64]
FITTED = Path(__file__).parent / "arithmetic.json"
"""Written by ``tests/bench/fit_simulated.py fit``."""


class Curves(Record):
    """The parameters; k skills.

    Attributes:
        skills: The task's, in order.
        ceiling: ``c``, (k,): losses with nothing learnt, in nats per token.
        steepness: ``s``, (k,): how fast accuracy falls with loss.
        learn: ``A``, (k, k): per update at the rate the curves were measured at.
        forget: ``F``, (k, k): likewise; its diagonal is zero.
        shelter: ``h``: how far rehearsing a skill shelters it.
        spread: Standard deviation of the log of a student's pace on a skill, over students.
        rate: Learning rate that the curves were measured at; effort is proportional to it, to first order.
        tokens: Student tokens that the lessons behind the curves took, about: what is owed by who learns from them.
    """

    skills: tuple[str, ...]
    ceiling: tuple[float, ...]
    steepness: tuple[float, ...]
    learn: tuple[tuple[float, ...], ...]
    forget: tuple[tuple[float, ...], ...]
    shelter: float
    spread: float
    rate: float
    tokens: int = 0


class Dynamics(NamedTuple):
    """Learning and forgetting of students that differ from the curves, each in its own way.

    Attributes:
        learn: ``A`` of each, ``(students, k, k)``.
        forget: ``F`` of each, likewise.
        shelter: ``h`` of each, ``(students, 1)``.
    """

    learn: Floats
    forget: Floats
    shelter: Floats


class Model:
    """The dynamics of curves, for any number of students at once; every array is ``(students, k)``.

    All of it is elementwise or a sum over skills in one order, so a student's numbers do not depend, to the last bit,
    on how many others are computed with it.

    Args:
        curves: The parameters.
    """

    def __init__(self, curves: Curves) -> None:
        self.curves = curves
        self.ceiling, self.steepness = np.array(curves.ceiling), np.array(curves.steepness)
        self.dynamics = Dynamics(
            np.array(curves.learn)[None], np.array(curves.forget)[None], np.array([[curves.shelter]])
        )

    def pace(self, seed: int, spread: float) -> Floats:
        """How fast the student of a seed learns each skill, ``(k,)``: log-normal around 1."""
        return np.exp(spread * stream(seed, "pace").standard_normal(len(self.ceiling)))

    def after(
        self, loss: Floats, pace: Floats, shares: Floats, effort: npt.ArrayLike, dynamics: Dynamics | None = None
    ) -> Floats:
        """The losses after training.

        Args:
            loss: Before.
            pace: Of each student on each skill.
            shares: Of the training examples by skill; what is missing to 1 teaches nothing and makes forget.
            effort: Updates, ``(students, 1)``, in units of the rate the curves were measured at.
            dynamics: Of each student, where they are not those of the curves.
        """
        learn, forget, shelter = dynamics or self.dynamics
        g, f = np.zeros_like(loss), np.maximum(0.0, 1.0 - _across(shares)) * forget.mean(1)
        for i in range(shares.shape[1]):
            share = shares[:, i : i + 1]
            g = g + share * learn[:, i]
            f = f + share * forget[:, i]
        g, f = g * pace, f * np.exp(-shelter * shares)
        total = np.maximum(g + f, 1e-12)
        goal = f * self.ceiling / total
        return np.asarray(goal + (loss - goal) * np.exp(-total * effort))

    def accuracy(self, loss: Floats) -> Floats:
        """The probability of a right answer, in (0, 1]."""
        return np.asarray(np.exp(-self.steepness * loss))


def _across(shares: Floats) -> Floats:
    """The sum over skills, ``(students, 1)``, in the order of the skills."""
    total = np.zeros((len(shares), 1))
    for i in range(shares.shape[1]):
        total = total + shares[:, i : i + 1]
    return total


@lru_cache(maxsize=1)
def fitted() -> Curves:
    """The curves of the pocket student on ``arithmetic``."""
    return Curves.model_validate_json(FITTED.read_bytes())
