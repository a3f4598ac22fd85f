"""Bandits over the subskills of a forest: UCB, Thompson sampling, EXP3, and learning progress.

An arm is a subskill, and a lesson is many pulls at once. An arm pays its *progress*: by how much the accuracy on its
subskill changed, up or down, since the last lesson (absolute as in TSCL, arXiv 1707.00183, so that what is being
forgotten is taught again). All four begin with an even forest, which counts as one pull of every arm.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from teachers.base import Floats, require, require_share, require_whole, with_floor
from teachers.forest import Action, ForestTeacher, even, exploit, grow
from teachers.progress import slopes

if TYPE_CHECKING:
    from dataenv.episode.context import Context

Mask = npt.NDArray[np.bool_]


class ForestBandit(ForestTeacher):
    """Grow the whole forest, then let the arms be weighed after every lesson."""

    def begin(self, context: Context) -> None:
        """Forget the episode before."""
        self._rng = context.rng
        self._before: dict[str, Any] | None = None

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Action:
        """Grow, or weigh."""
        before, self._before = self._before, observation
        if before is None:
            return grow(observation, most=observation["grown"].shape[1])
        there = observation["grown"] > 0
        weights = np.zeros(there.shape)
        weights[there] = self.weigh(progress(before, observation)[there])
        return exploit(weights)

    @abstractmethod
    def weigh(self, paid: Floats) -> Floats:
        """The shares of the arms, from what each paid for the last lesson: ``(arms,)`` in [0, 1]."""


class Ucb(ForestBandit):
    """UCB1 (Auer, Cesa-Bianchi and Fischer 2002): the arms of the highest upper bounds share the lesson.

    The bound of an arm is ``mean + explore * sqrt(2 ln t / n)``, with t lessons so far and n of them the arm's own.

    Args:
        explore: Scale of the bound, >= 0. UCB1's is 1 for pay spread over [0, 1]; progress is mostly near 0.
        chosen: Share of the arms that a lesson pulls, in (0, 1].
        floor: Share of the lesson dealt out evenly, so that nothing is forgotten at once.
    """

    name: ClassVar[str] = "ucb"

    def __init__(self, explore: float = 0.1, chosen: float = 0.25, floor: float = 0.2) -> None:
        require(0.0 <= explore < np.inf, "explore", explore, "give a finite number >= 0")
        require(0.0 < chosen <= 1.0, "chosen", chosen, "give a share above 0, up to 1")
        self.explore, self.chosen, self.floor = explore, chosen, require_share("floor", floor)

    def begin(self, context: Context) -> None:
        """See Teacher."""
        super().begin(context)
        self._lessons = 0
        self._pulled: Mask | None = None

    def weigh(self, paid: Floats) -> Floats:
        """See ForestBandit."""
        if self._pulled is None:
            self._pulled = np.ones(len(paid), np.bool_)
            self._sum, self._n = np.zeros(len(paid)), np.zeros(len(paid))
        self._lessons += 1
        self._sum += np.where(self._pulled, paid, 0.0)
        self._n += self._pulled
        bounds = self._sum / self._n + self.explore * np.sqrt(2.0 * np.log(self._lessons) / self._n)
        self._pulled = best(bounds, self.chosen, self._rng)
        return with_floor(self._pulled, self.floor)


class Thompson(ForestBandit):
    """Thompson sampling with Beta posteriors; pay in [0, 1] counts by a Bernoulli draw (Agrawal and Goyal 2012).

    Args:
        chosen: Share of the arms that a lesson pulls, those of the highest draws, in (0, 1].
        floor: Share of the lesson dealt out evenly.
    """

    name: ClassVar[str] = "thompson"

    def __init__(self, chosen: float = 0.25, floor: float = 0.2) -> None:
        require(0.0 < chosen <= 1.0, "chosen", chosen, "give a share above 0, up to 1")
        self.chosen, self.floor = chosen, require_share("floor", floor)

    def begin(self, context: Context) -> None:
        """See Teacher."""
        super().begin(context)
        self._pulled: Mask | None = None

    def weigh(self, paid: Floats) -> Floats:
        """See ForestBandit."""
        if self._pulled is None:
            self._pulled = np.ones(len(paid), np.bool_)
            self._won, self._lost = np.ones(len(paid)), np.ones(len(paid))
        won = self._rng.random(len(paid)) < paid
        self._won += self._pulled & won
        self._lost += self._pulled & ~won
        self._pulled = best(self._rng.beta(self._won, self._lost), self.chosen, self._rng)
        return with_floor(self._pulled, self.floor)


class Exp3(ForestBandit):
    """EXP3 (Auer, Cesa-Bianchi, Freund and Schapire 2002): weights that grow by ``exp(gamma * pay / (p K))``.

    The lesson is dealt out by ``p = (1 - gamma) w / sum(w) + gamma / K``. There one arm is drawn by p and updated; in a
    lesson every arm has its share, so every arm is.

    Args:
        gamma: Share dealt out evenly, and the rate at which weights grow, in (0, 1].
    """

    name: ClassVar[str] = "exp3"

    def __init__(self, gamma: float = 0.3) -> None:
        require(0.0 < gamma <= 1.0, "gamma", gamma, "give a share above 0, up to 1")
        self.gamma = gamma

    def begin(self, context: Context) -> None:
        """See Teacher."""
        super().begin(context)
        self._log: Floats | None = None

    def weigh(self, paid: Floats) -> Floats:
        """See ForestBandit."""
        k = len(paid)
        if self._log is None:
            self._log, self._p = np.zeros(k), np.full(k, 1.0 / k)
        self._log = self._log + self.gamma * paid / (self._p * k)
        self._p = with_floor(np.exp(self._log - self._log.max()), self.gamma)
        return self._p


class ForestProgress(ForestTeacher):
    """Learning progress on both floors: skills by the slope of their loss, their subskills by that of their accuracy.

    Slopes are least-squares and absolute, as in ``learning-progress``; accuracy alone would starve a skill that stands
    at zero while its loss already falls.

    Args:
        window: Observations in a line, at least 2.
        floor: Share dealt out evenly among skills, and again among the subskills of each.
    """

    name: ClassVar[str] = "forest-progress"

    def __init__(self, window: int = 3, floor: float = 0.2) -> None:
        self.window, self.floor = require_whole("window", window, 2), require_share("floor", floor)

    def begin(self, context: Context) -> None:
        """Forget the curves of the episode before."""
        self._loss: deque[Floats] = deque(maxlen=self.window)
        self._accuracy: deque[Floats] = deque(maxlen=self.window)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Action:
        """Grow all; then weigh by the curves up to now."""
        self._loss.append(np.asarray(observation["loss"], np.float64))
        there = observation["grown"] > 0
        if observation["left"].any():
            return grow(observation, most=there.shape[1])
        self._accuracy.append(np.asarray(observation["subskill_accuracy"], np.float64))
        skills = with_floor(np.abs(slopes(np.stack(self._loss))), self.floor)
        steep = np.abs(slopes(np.stack(self._accuracy).reshape(len(self._accuracy), -1))).reshape(there.shape)
        inside = even(observation)
        for i, row in enumerate(there):
            inside[i, row] = with_floor(steep[i, row], self.floor)
        return exploit(skills[:, None] * inside)


def progress(before: dict[str, Any], now: dict[str, Any]) -> Floats:
    """How much the accuracy on each subskill changed, ``(k, m)`` in [0, 1].

    A subskill that was not grown before has no accuracy from then; its skill's stands for it.
    """
    own = np.abs(now["subskill_accuracy"].astype(np.float64) - before["subskill_accuracy"])
    whole = np.abs(now["accuracy"].astype(np.float64) - before["accuracy"])
    return np.asarray(np.where(before["grown"] > 0, own, whole[:, None]))


def best(figures: Floats, share: float, rng: np.random.Generator) -> Mask:
    """Which figures are among the highest; at least one, and ties are drawn."""
    n = max(1, round(share * len(figures)))
    chosen = np.zeros(len(figures), np.bool_)
    chosen[np.lexsort((rng.random(len(figures)), -figures))[:n]] = True
    return chosen
