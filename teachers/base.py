"""Teacher: what maps observations to actions, and what skill-list teachers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from dataenv.episode.context import Context
    from dataenv.episode.profiles import SkillProfile
    from dataenv.episode.teacher import TeacherLike, Transition

Level = Literal["skill-list", "skill-tree", "open-ended"]
Floats = npt.NDArray[np.float64]


class Teacher(ABC):
    """A teacher. Only ``act`` is required; what is no subclass but has an ``act`` is a teacher as well.

    One object may teach several episodes, one after the other: ``begin`` forgets the one before. All randomness comes
    from ``context.rng``, so equal seeds teach equally.

    Attributes:
        name: On the board.
        level: Which observations it reads and which actions it gives; see ``dataenv.levels``.
        prior_compute: Student tokens that it used before ``reset`` (a learned policy, a skill graph); its own column.
        row_args: What stands for its arguments in a row, where those name files: what is in them; ``None`` for the
            arguments themselves.
        trained_on: The tasks that a learned teacher was trained on, in words.
        yields: What it counted of each stage in this episode: a ``Counter`` that ``begin`` makes anew.
        profiles: The missing-skill profiles that it made in this episode, for the run's row.
        inner: The teacher that it stands around, if any.
    """

    name: ClassVar[str]
    level: ClassVar[Level] = "skill-list"
    prior_compute: int = 0
    row_args: dict[str, Any] | None = None
    trained_on: str = ""
    yields: Mapping[str, int] = MappingProxyType({})  # read-only: all teachers that count nothing share it
    profiles: Sequence[SkillProfile] = ()
    inner: TeacherLike | None = None

    def begin(self, context: Context) -> None:  # noqa: B027 (not every teacher has something to prepare)
        """Start an episode. Called once, after the environment's reset and before the first ``act``."""

    @abstractmethod
    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Any:
        """The next lesson: an action of the environment's action space. Zeros, or ``()``, stop the episode."""

    def learn(self, transition: Transition) -> None:  # noqa: B027
        """Learn from the result of the lesson. Called after every step."""

    def most_requests(self, lesson_size: int) -> int | None:
        """Requests to language models that a lesson takes at the most; ``None`` where it does not say.

        For ``dataenv plan``, which asks it of teachers that are given a ``chat``.
        """
        return None


def with_floor(weights: npt.ArrayLike, floor: float) -> Floats:
    """Weights as a mixture that leaves no skill out: ``(1 - floor) * weights / sum(weights) + floor / k``.

    A skill that gets nothing is forgotten, and nothing more is learnt of it from its figures; hence the floor.

    Args:
        weights: ``(k,)``, non-negative. Where all are zero nothing is preferred, and the mixture is uniform.
        floor: Share that is dealt out evenly, in [0, 1].

    Returns:
        ``(k,)``, non-negative, sums to 1.

    Raises:
        ValueError: If a weight is negative or not finite: the figure it comes from is wrong, and a default in its
            place would hide that.
    """
    given = np.asarray(weights, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(given) | (given < 0))
    if bad.size:
        raise ValueError(f"weights[{bad[0]}] is {given[bad[0]]}; give finite numbers that are not negative")
    k = len(given)
    largest = given.max(initial=0.0)
    if largest == 0.0:
        return np.full(k, 1.0 / k)
    scaled = given / largest  # the sum of huge weights would overflow
    return np.asarray((1.0 - floor) * scaled / scaled.sum() + floor / k)


def as_action(mixture: Floats) -> npt.NDArray[np.float32]:
    """A mixture ``(k,)`` as an action of the skill-list level: float32, in [0, 1]."""
    return np.clip(mixture, 0.0, 1.0).astype(np.float32)


def require(condition: bool, field: str, value: object, mend: str) -> None:
    """Refuse an argument: one sentence that names the field and the mend.

    Raises:
        ValueError: If the condition is false.
    """
    if not condition:
        raise ValueError(f"{field} is {value!r}; {mend}")


def require_share(field: str, value: float) -> float:
    """An argument that must be in [0, 1]; see ``require``."""
    require(0.0 <= value <= 1.0, field, value, "give a number in [0, 1]")
    return value


def require_whole(field: str, value: int, least: int = 1) -> int:
    """An argument that must be a whole number of at least ``least``; see ``require``."""
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= least
    require(fine, field, value, f"give a whole number of at least {least}")
    return value
