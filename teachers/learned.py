"""``learned``: a policy that was trained on students (``dataenv train-teacher``), and teaches without learning on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from dataenv.errors import SettingError
from dataenv.learning.policy import features, load, look
from teachers.base import Floats, Teacher, require

if TYPE_CHECKING:
    from dataenv.episode.context import Context

SHIPPED = {name: Path(__file__).parent / "policies" / name for name in ("ppo", "es")}
"""``ppo`` was trained on simulated students and teaches any skills; ``es`` on real ones, and teaches those of
``arithmetic``. docs/learned.md has the commands."""


class Learned(Teacher):
    """Mixtures by a policy's most likely action (``dataenv.learning.policy``).

    A policy that looks at every skill in the same way plays any number of them, those of other tasks than it was
    trained on included: that is not refused, and ``trained_on`` says what it was. One that knows its skills by name
    plays those alone.

    Args:
        path: The folder that ``dataenv train-teacher`` wrote.
        ships: In its place, a policy that ships with the package: ``ppo``, which it is without both, or ``es``.

    Attributes:
        row_args: What stands in a row: the content of the policy, not where it lies.
        trained_on: Tasks, with the number of their skills.
    """

    name: ClassVar[str] = "learned"

    def __init__(self, path: str = "", ships: str = "") -> None:
        require(not ships or ships in SHIPPED, "ships", ships, f"give one of {', '.join(SHIPPED)}")
        require(not (path and ships), "ships", ships, f"leave it out where path is given ({path!r}), or that")
        try:
            self._policy, card = load(Path(path) if path else SHIPPED[ships or "ppo"])
        except SettingError as error:
            raise ValueError(str(error)) from None
        self.prior_compute, self.row_args = card.prior, {"policy": self._policy.identity}
        self.trained_on, self._skills = card.trained_on, card.skills
        self._before: dict[str, Floats] | None = None

    def begin(self, context: Context) -> None:
        """Forget the episode before.

        Raises:
            ValueError: If the level is another than skill-list, whose fields it has learnt to look at, or the skills
                are others than those that it knows by name.
        """
        require(context.level == self.level, "level", context.level, f"make an environment of level {self.level!r}")
        known = ", ".join(self._skills)
        mend = f"the policy knows {known} by name and no others; train one on these skills, or one without names"
        require(not known or self._skills == context.skills, "skills", ", ".join(context.skills), mend)
        self._before = None

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> npt.NDArray[Any]:
        """The policy's mixture; what changed since the last lesson is part of what it looks at."""
        now = look(observation)
        x = features(now, self._before or now)
        self._before = now
        return self._policy.mixture(self._policy.mode(x))
