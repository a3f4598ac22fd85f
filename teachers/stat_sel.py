"""``stat-sel`` and ``con-sel``: find out which skills the mistakes lack, and teach what needs those skills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from tasks.base import Unsupported
from teachers.base import Floats, Teacher, as_action, require_share, with_floor

if TYPE_CHECKING:
    from dataenv.episode import Context


class StatSel(Teacher):
    """STAT-Sel of Skill-Targeted Adaptive Training (arXiv 2510.10023, section 3), as a mixture over skills.

    Stage 1 (difficult questions) is given: the observation's errors are verified, so no process reward model is needed.
    Stage 2: each error is diagnosed (``context.diagnose`` stands where the paper asks an LLM), and the missing-skill
    profile is ``w_s``, the number of errors that lack skill s. Stage 3: for every error and every skill that it lacks
    the paper draws a few training items with that skill, which in closed form is ``sampling_law``.

    The lesson is not drawn from the pool but made by the engine, in the mixture that the law implies over primary
    skills. A pool is soon smaller than an episode's lessons together; repeated examples cost more than a mixture wins,
    and ``stratified``, with which this is compared, has fresh ones as well. Under ``engine = "pool"`` in the Setting
    the same mixture is drawn from the pool without replacement, and a skill whose items are used up starts again. Where
    a task has no pool, every item is taken to need one skill, and the mixture is the profile.

    The profile is made once, from the untaught student's errors, as in the paper.

    Args:
        floor: Share of the profile dealt out evenly. Diagnoses are noisy: the paper's overlap with those of another
            LLM in 43 % of the skills.
    """

    name: ClassVar[str] = "stat-sel"

    def __init__(self, floor: float = 0.1) -> None:
        self.floor = require_share("floor", floor)
        self._mixture: Floats | None = None

    def begin(self, context: Context) -> None:
        """Forget the profile of the episode before."""
        self._context, self._mixture = context, None
        try:
            self._pool = [example.skills for example in context.pool()]
        except Unsupported:
            self._pool = [(skill,) for skill in context.skills]

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The mixture of the first profile."""
        if self._mixture is None:
            self._mixture = self._target(observation)
        return as_action(self._mixture)

    def _target(self, observation: dict[str, Any]) -> Floats:
        """Profile, law, mixture over primary skills."""
        skills = self._context.skills
        profile = with_floor(missing_skills(observation, skills, self._context.diagnose), self.floor)
        law = sampling_law(dict(zip(skills, profile.tolist(), strict=True)), self._pool)
        mixture = dict.fromkeys(skills, 0.0)
        for needed, probability in zip(self._pool, law.tolist(), strict=True):
            if needed:
                mixture[needed[0]] += probability
        return with_floor(list(mixture.values()), 0.0)


class ConSel(StatSel):
    """``stat-sel`` profiled anew at every step: what the paper calls continual learning (ConSel)."""

    name: ClassVar[str] = "con-sel"

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The mixture of the present profile."""
        return as_action(self._target(observation))


def missing_skills(
    observation: Mapping[str, Any], skills: Sequence[str], diagnose: Callable[[dict[str, str]], Sequence[str]]
) -> Floats:
    """The missing-skill profile ``w`` (STAT, stage 2): how many errors lack each skill, in units of an error rate.

    The observation shows only the first few errors of each skill, equally many at the most, so plain counts would make
    a skill that is wrong half the time weigh as much as one that is always wrong. Each shown error therefore stands for
    ``(1 - accuracy) / shown`` of the skill that it was asked under; with all errors shown, ``w`` is the paper's count
    up to a factor.

    Args:
        observation: Of the skill-list level: ``accuracy`` ``(k,)`` and ``errors``.
        skills: The k skills, in order.
        diagnose: From an error to the skills that it lacks. Names that are not in ``skills`` count nowhere.

    Returns:
        ``(k,)``, non-negative.
    """
    row = {skill: i for i, skill in enumerate(skills)}
    errors = [error for error in observation["errors"] if error["skill"] in row]
    shown = Counter(error["skill"] for error in errors)
    rate = 1.0 - np.asarray(observation["accuracy"], np.float64)
    profile = np.zeros(len(skills))
    for error in errors:
        for skill in set(diagnose(error)) & row.keys():
            profile[row[skill]] += rate[row[error["skill"]]] / shown[error["skill"]]
    return profile


def sampling_law(profile: Mapping[str, float], pool_skills: Sequence[Sequence[str]]) -> Floats:
    """STAT-Sel's law over a pool: ``Pr(x)`` proportional to the sum over s in skills(x) of ``w_s / |Map[s]|``.

    ``Map[s]`` holds the pool's items that need s. It is what one gets by drawing, for each error and each skill that it
    lacks, equally many items from that skill's map.

    Args:
        profile: ``w_s``; skills that are not in it weigh nothing.
        pool_skills: The skills of each of n items.

    Returns:
        ``(n,)``, sums to 1; uniform where no item needs a skill that is missing.
    """
    sizes = Counter(skill for needed in pool_skills for skill in set(needed))
    weights = [sum(profile.get(s, 0.0) / sizes[s] for s in sorted(set(needed))) for needed in pool_skills]
    return with_floor(weights, 0.0)
