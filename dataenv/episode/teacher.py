"""What an environment asks of a teacher, and the adapter that gives every teacher all of it.

A teacher may be an object with ``act`` and nothing else, or a plain function. ``as_teacher`` is the one place that
looks what is there; behind it every attribute is there, with its default.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dataenv import registry
from dataenv.errors import DataenvError, SettingError
from dataenv.isolation.choice import isolated
from dataenv.isolation.teacher import IsolatedTeacher
from dataenv.levels import level_class
from dataenv.validation import shown, whole
from tasks.records import canonical_json

if TYPE_CHECKING:
    from dataenv.episode.context import Context

LEVEL = "skill-list"
"""The level of a teacher that names none."""


class Transition(NamedTuple):
    """What a teacher may learn from."""

    observation: Any
    action: Any
    reward: float
    next_observation: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class TeacherLike(Protocol):
    """A teacher with everything that is asked of one: a ``teachers.base.Teacher``, or what ``as_teacher`` gives."""

    @property
    def name(self) -> str:
        """On the board."""

    @property
    def level(self) -> str:
        """Which observations it reads and which actions it gives; see ``dataenv.levels``."""

    @property
    def prior_compute(self) -> int:
        """Student tokens that it used before ``reset``."""

    @property
    def row_args(self) -> dict[str, Any] | None:
        """What stands for its arguments in a row, where those name files; ``None`` for the arguments themselves."""

    @property
    def trained_on(self) -> str:
        """The tasks that a learned teacher was trained on, in words; empty for one that is not learned."""

    @property
    def yields(self) -> Mapping[str, int]:
        """What it counted of each stage in this episode."""

    @property
    def profiles(self) -> Sequence[Any]:
        """The missing-skill profiles that it made in this episode; see ``dataenv.episode.profiles``."""

    @property
    def inner(self) -> TeacherLike | None:
        """The teacher that it stands around, if any."""

    def begin(self, context: Context) -> None:
        """Start an episode."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """The next lesson: an action of the environment's action space."""

    def learn(self, transition: Transition) -> None:
        """Be told what came of the lesson."""

    def most_requests(self, lesson_size: int) -> int | None:
        """Requests to language models that a lesson takes at the most; ``None`` where it does not say."""


class AdaptedTeacher:
    """A teacher with all of ``TeacherLike``; ``as_teacher`` makes it.

    Everything is read from the teacher when it is asked for, for a teacher may change it: it counts its yields anew in
    each episode, and what a learned one has used is known once it is loaded.

    Attributes:
        unwrapped: The teacher as it was given; what is its own (its chat, say) is found there.
    """

    def __init__(self, thing: Any, name: str = "") -> None:
        self.unwrapped, self._name, self._takes_info = thing, name, True
        if not _acts(thing):
            if inspect.isclass(thing) or not callable(thing):
                raise SettingError(
                    f"teacher is a {type(thing).__name__}; give an object with act(observation, info), or a function"
                )
            self._takes_info = _required(thing) >= 2
            if not _takes_observation(thing):
                raise SettingError(
                    f"teacher is a function without a parameter; give a function of the observation ({thing!r:.60})"
                )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.unwrapped!r})"

    @property
    def kind(self) -> str:
        """The name of the teacher's class, for sentences."""
        return type(self.unwrapped).__name__

    @property
    def name(self) -> str:
        """The teacher's own name; else the one that was given here; else that of its function or class."""
        own = self._own("name", "")
        return (own if isinstance(own, str) else "") or self._name or str(self._own("__name__", self.kind))

    @property
    def level(self) -> str:
        """Which observations it reads and which actions it gives.

        Raises:
            SettingError: If there is no such level.
        """
        level = self._own("level", LEVEL)
        level_class(level if isinstance(level, str) else repr(level))
        return str(level)

    @property
    def prior_compute(self) -> int:
        """Student tokens that it says it used before ``reset``; 0 where it says nothing.

        Raises:
            SettingError: If that is no whole number, or negative.
        """
        return whole(f"prior_compute of teacher {self.kind}", self._own("prior_compute", 0))

    @property
    def row_args(self) -> dict[str, Any] | None:
        """What stands for its arguments in a row; ``None`` for the arguments themselves.

        Raises:
            SettingError: If that is no plain JSON.
        """
        found = self._own("row_args", None)
        try:
            plain = None if found is None else json.loads(canonical_json(found))
        except (Exception, SystemExit, GeneratorExit) as error:
            raise SettingError(
                f"row_args of teacher {self.kind} cannot be written ({shown(error)}); give a dict of plain JSON"
            ) from error
        if plain is not None and not isinstance(plain, dict):
            raise SettingError(
                f"row_args of teacher {self.kind} is a {type(found).__name__}; give a dict of plain JSON"
            )
        return plain

    @property
    def trained_on(self) -> str:
        """The tasks that it was trained on, in words; empty where it says nothing."""
        own = self._own("trained_on", "")
        return own if isinstance(own, str) else ""

    @property
    def yields(self) -> Mapping[str, int]:
        """What it counted of each stage: its ``Counter``; empty where it has none."""
        own = self._own("yields", None)
        counts = own.items() if isinstance(own, Counter) else ()
        return {str(stage): whole(f"yields of teacher {self.kind}", n) for stage, n in counts}

    @property
    def profiles(self) -> Sequence[Any]:
        """The missing-skill profiles of this episode: its list or tuple of them; empty where it has none."""
        own = self._own("profiles", ())
        return own if isinstance(own, list | tuple) else ()

    @property
    def inner(self) -> AdaptedTeacher | None:
        """The teacher that it stands around; none where what it calls so is no teacher."""
        own = self._own("inner", None)
        return as_teacher(own) if _acts(own) else None

    def begin(self, context: Context) -> None:
        """Start an episode."""
        self._own("begin", _ignore)(context)

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """The next lesson."""
        act = self.unwrapped.act if _acts(self.unwrapped) else self.unwrapped
        return act(observation, info) if self._takes_info else act(observation)

    def learn(self, transition: Transition) -> None:
        """Be told what came of the lesson."""
        self._own("learn", _ignore)(transition)

    def most_requests(self, lesson_size: int) -> int | None:
        """Requests to language models that a lesson takes at the most; ``None`` where it does not say.

        Raises:
            SettingError: If that is no whole number, or negative.
        """
        count: Callable[[int], Any] = self._own("most_requests", _ignore)
        found = _said(f"most_requests() of teacher {self.kind}", lambda: count(lesson_size))
        return None if found is None else whole(f"most_requests() of teacher {self.kind}", found)

    def _own(self, attribute: str, default: Any) -> Any:
        """What the teacher has, now.

        Raises:
            SettingError: If it is a property that raises.
        """
        return _said(f"{attribute} of teacher {self.kind}", lambda: getattr(self.unwrapped, attribute, default))


def as_teacher(thing: Any, name: str = "") -> AdaptedTeacher:
    """A teacher with every attribute that is ever asked of one.

    Args:
        thing: An object with ``act(observation, info)``, a function of the observation, or one of the observation and
            the info; or the name of a registered teacher. One that came from here is given back as it is.
        name: What it is called where it has no name of its own.

    Raises:
        SettingError: If it is neither, its level is none, or its ``prior_compute`` is no number of student tokens.
    """
    if isinstance(thing, AdaptedTeacher):
        return thing
    if isinstance(thing, str):
        return build_teacher(thing)
    teacher = AdaptedTeacher(thing, name)
    _ = teacher.level, teacher.prior_compute  # what cannot be used or written down is refused here
    return teacher


def build_teacher(name: str, args: Mapping[str, Any] | None = None) -> AdaptedTeacher:
    """Make a teacher by name; see ``dataenv.registry.build``. Some are run in a process of their own.

    Args:
        name: As registered, or ``module:Class``.
        args: Its arguments.

    Raises:
        SettingError: If the name is unknown, the arguments do not fit, or what is made is no teacher.
    """
    if isolated(name):
        return as_teacher(IsolatedTeacher(name, args), name)
    return as_teacher(registry.build("teacher", name, args), name)


def yields_of(teacher: TeacherLike) -> dict[str, int]:
    """What a teacher counted of each stage; of one around another, the other's too, named ``inner …``."""
    inner = {} if teacher.inner is None else yields_of(teacher.inner)
    return dict(teacher.yields) | {f"inner {name}": n for name, n in inner.items()}


def _said(what: str, read: Callable[[], Any]) -> Any:
    """What a teacher says of itself: its own code says it, outside of any run, and may raise what it likes."""
    try:
        return read()
    except DataenvError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:
        raise SettingError(f"{what} cannot be read: it raises {shown(error)}; mend the teacher") from error


def _acts(thing: Any) -> bool:
    """Whether this is an object with ``act``; a class makes such objects, and is none."""
    return not inspect.isclass(thing) and callable(_said("act of the teacher", lambda: getattr(thing, "act", None)))


def _required(function: Callable[..., Any]) -> int:
    """How many arguments a function must be given in their places."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError as error:
        raise SettingError(f"teacher {function!r} does not tell its arguments; write a function around it") from error
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([p for p in parameters if p.kind in places and p.default is p.empty])


def _takes_observation(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with an observation."""
    try:
        inspect.signature(function).bind(*range(max(1, _required(function))))
    except TypeError:
        return False
    return True


def _ignore(_: Any) -> None:
    """What is done where a teacher has nothing to do."""
