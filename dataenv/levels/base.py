"""What a level is: it declares the spaces, reads an action into a plan, and shapes the observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from dataenv.errors import ActionError, SnapshotError, did_you_mean
from dataenv.lessons.offer import Offer
from dataenv.lessons.scene import Scene
from students.training.methods import method_of
from tasks.records import Example

if TYPE_CHECKING:
    from dataenv.execution.jobs import Exam
    from dataenv.setting import Setting

Floats = npt.NDArray[np.float32]
EXAM = "subskills"
"""The exam's name. Its problems are always the same, so their seed is a constant."""


@dataclass(frozen=True)
class Plan:
    """What an action asks: to stop, or a lesson.

    Attributes:
        stop: End the episode; nothing is taught.
        lesson: What the level makes the lesson from: examples, shares of the skills, or what your own level reads.
        memory: What the level remembers once the step has ended.
        recipe: The name of a recipe of the Setting's menu; empty for the Setting's own.
    """

    stop: bool = False
    lesson: Any = None
    memory: dict[str, Any] = field(default_factory=dict)
    recipe: str = ""


@dataclass(frozen=True)
class View:
    """What the environment knows that a teacher may see. Arrays are ``(skills,)``.

    Attributes:
        accuracy: On the feedback split, in [0, 1].
        loss: Mean loss on the feedback split's gold answers, in nats per token.
        counts: Examples taught so far by primary skill.
        wrong: Feedback problems answered wrongly by primary skill, those that ``errors`` leaves out among them.
        score: Accuracy on the selection split, in [0, 1].
        budget: Share of the purse that is left, in [0, 1].
        errors: Feedback problems answered wrongly, an equal cap per skill (``Setting.shown``): ``id``, ``skill``,
            ``prompt``, ``response`` and ``answer`` of each. The ``id`` is what ``Context`` finds the problem by.
        lessons: The lessons taught so far.
        answers: Responses to the level's own exam, in order, where it has one.
    """

    accuracy: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.int64]
    score: float
    budget: float
    errors: tuple[dict[str, str], ...]
    lessons: Sequence[Sequence[Example]] = ()
    answers: tuple[str, ...] = ()


class Level(ABC):
    """A component of the environment. All memory it has between steps is in the Snapshot.

    Args:
        setting: Of the environment: its task names the skills.

    Attributes:
        name: In the registered ids and on the board.
        state: The fields of the observation that tell of the student; what is masked in an ablation without state.
        brings: Whether actions hold the examples themselves, so that the engine has no part in them.
        beside: The key under which an action stands beside ``recipe``, where the action itself is no mapping.
    """

    name: ClassVar[str]
    state: ClassVar[tuple[str, ...]]
    beside: ClassVar[str] = ""
    brings: ClassVar[bool] = False
    action_space: spaces.Space[Any]
    observation_space: spaces.Dict

    def __init__(self, setting: Setting) -> None:
        self.skills, self.recipes = setting.built_task.skills, setting.recipes

    def begin(self) -> dict[str, Any]:
        """What the level remembers at the start of an episode, as JSON."""
        return {}

    def check(self, memory: Mapping[str, Any]) -> None:
        """Refuse a memory that this level cannot have left in a snapshot.

        Raises:
            SnapshotError: If it cannot.
        """
        if memory:
            raise SnapshotError(f"snapshot.memory is not empty, and level {self.name!r} keeps none; leave it out")

    @property
    def exam(self) -> Exam | None:
        """What the student is asked besides the feedback and selection problems, after every lesson."""
        return None

    def plan(self, action: Any, memory: Mapping[str, Any]) -> Plan:
        """Read an action, and which recipe of the Setting's menu it asks for, if it asks for one.

        Where the Setting has ``recipes``, an action may be a mapping that holds it and ``recipe``, such as
        ``{"examples": (…), "recipe": "dpo"}`` or ``{"mixture": …, "recipe": "slow"}``.

        Raises:
            ActionError: If it is no action of this level; the sentence says what one is.
        """
        if not self.recipes or not isinstance(action, Mapping):
            return self.read(action, memory)
        if "recipe" not in action:
            return self.read(action[self.beside] if set(action) == {self.beside} else action, memory)
        name, rest = action["recipe"], {key: value for key, value in action.items() if key != "recipe"}
        if not isinstance(name, str) or name not in self.recipes:
            raise ActionError(f"action['recipe'] is {name!r}; {did_you_mean(str(name), self.recipes)}")
        recipe = self.recipes[name]
        if not self.brings and method_of(recipe).needs_pairs(recipe):
            raise ActionError(
                f"action['recipe'] is {name!r}, which is for pairs, and no engine makes them; give another"
            )
        if self.beside and set(rest) != {self.beside}:
            raise ActionError(f"action is a dict of {', '.join(map(str, action))}; give {self.beside!r} and 'recipe'")
        return replace(self.read(rest[self.beside] if self.beside else rest, memory), recipe=name)

    @abstractmethod
    def read(self, action: Any, memory: Mapping[str, Any]) -> Plan:
        """Read an action.

        Raises:
            ActionError: If it is no action of this level; the sentence says what one is.
        """

    @abstractmethod
    def make(self, plan: Plan, scene: Scene) -> Offer:
        """The lesson of a plan that does not stop.

        Args:
            plan: As ``plan`` gave it.
            scene: The moment before the lesson, the lessons before it, and what an engine may draw on.

        Raises:
            tasks.errors.UnsupportedError: If the task has not what the Setting's engine draws from.
        """

    @abstractmethod
    def observe(self, view: View, memory: Mapping[str, Any]) -> dict[str, Any]:
        """A fresh observation, in ``observation_space``."""


def read_shares(values: Any, where: str, shape: tuple[int, ...], skills: Sequence[str]) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1] of a shape whose first axis is the skills. A hair outside is clipped, anything more refused.

    Raises:
        ActionError: If they are not that; it names the first wrong one.
    """
    form = f"give shape {shape}, numbers from 0 to 1"
    shares = read_numbers(values, where, form)
    if shares.shape != shape:
        raise ActionError(f"{where} has shape {shares.shape}; {form}")
    bad = np.argwhere(~(np.isfinite(shares) & (shares >= -1e-6) & (shares <= 1 + 1e-6)))
    if len(bad):
        at = tuple(bad[0].tolist())
        place = "][".join(map(str, at))
        raise ActionError(f"{where}[{place}] ({skills[at[0]]}) is {shares[at]}; give a number from 0 to 1")
    return np.clip(shares, 0.0, 1.0)


def read_numbers(values: Any, where: str, form: str) -> npt.NDArray[np.float64]:
    """Real numbers of any shape. What NumPy would make numbers of (texts, complex numbers, ``None``) is refused.

    Args:
        values: Read.
        where: What they are, for the sentence.
        form: What to give in their place.

    Raises:
        ActionError: If they are not that.
    """
    try:
        given = np.asarray(values)
    except (TypeError, ValueError):
        raise ActionError(f"{where} is a {type(values).__name__}; {form}") from None
    if given.dtype.kind not in "buif":
        held = f" of {given.dtype.type.__name__.rstrip('_')}" if given.ndim else ""
        raise ActionError(f"{where} is a {type(values).__name__}{held}; {form}")
    return given.astype(np.float64)


def scalar(value: float) -> Floats:
    """One number as the spaces hold it: shape (1,), float32."""
    return np.array([value], np.float32)
