"""A teacher in a process of its own: to the driver it is a teacher like any other.

The driver sends what ``begin``, ``act`` and ``learn`` are given, and then answers what the teacher asks of its context,
until the call is done. It makes nothing of what comes back but numbers, texts and examples.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from dataenv import errors, registry
from dataenv.budget.teacher import TeacherPurse
from dataenv.errors import DataenvError, SettingError, TeacherFailedError
from dataenv.isolation.desk import ContextDesk
from dataenv.isolation.process import TeacherProcess
from dataenv.isolation.walls import TeacherLimits, require_found, started_by
from dataenv.validation import Count, refuse_keys, validated
from tasks.records import Record

PROXY = "teachers.chat.apart:ChatProxy"
"""Asks language models for a teacher that has a chat; by name, for teachers stand above this."""
PASSED_ON = (
    "ActionError",
    "BudgetSpentError",
    "JobFailedError",
    "RefusedError",
    "SettingError",
    "UnansweredError",
    "UnsupportedError",
    "WireError",
)
"""Errors that either side may raise on the other; a word of the store's or of the driver's own is none of them."""
_PLAIN = (TypeError, ValueError, KeyError, IndexError, AttributeError)


class Counted(Record):
    """What a teacher counted: claims, which a row's own checks read once more."""

    yields: dict[str, Count] = {}
    profiles: tuple[dict[str, Any], ...] = ()


class CallResult(Record):
    """The last message of a call: what it came to, or the kind and the sentence of the error that it raised."""

    done: Any = None
    failed: tuple[str, str] | None = None
    counted: Counted | None = None


class TeacherFacts(Record):
    """What a teacher says of itself; see ``teachers.base.Teacher``."""

    name: str
    level: str
    prior_compute: Count
    row_args: dict[str, Any] | None
    trained_on: str


_KNOWN: dict[str, TeacherFacts] = {}
"""What teachers said of themselves, by name and arguments: a board makes each of them several times."""


def _known(key: str, ask: Callable[[], TeacherFacts]) -> TeacherFacts:
    if key not in _KNOWN:
        _KNOWN[key] = ask()
    return _KNOWN[key]


class IsolatedTeacher:
    """Stands in the driver for a teacher whose code is never run there.

    Args:
        name: Of the teacher, as registered or ``module:Class``.
        args: Its arguments.
        limits: Of its process.

    Raises:
        SettingError: If it cannot be made.

    Attributes:
        name: What the teacher says of itself, as are ``level``, ``prior_compute``, ``row_args`` and ``trained_on``.
        yields: What it counted, those of a teacher that it stands around among them.
        profiles: The missing-skill profiles that it made, as plain fields.
    """

    def __init__(self, name: str, args: Mapping[str, Any] | None = None, limits: TeacherLimits | None = None) -> None:
        self._named, self._args, self._limits = name, dict(args or {}), limits or TeacherLimits()
        self._process: TeacherProcess | None = None
        self._desk: ContextDesk | None = None
        self._context: Any = None
        self._chats: Any = None
        self.yields: Counter[str] = Counter()
        self.profiles: list[Any] = []
        registry.must_know("teacher", name)
        require_found(name)
        refuse_keys("teacher_args", f"teacher {name!r}", self._args)
        facts = _known(json.dumps([name, self._args], sort_keys=True, default=str), self._facts)
        self.name, self.level, self.prior_compute = facts.name, facts.level, facts.prior_compute
        self.row_args, self.trained_on = facts.row_args, facts.trained_on

    def start(self) -> None:
        """Have its process up: the time that this takes is that of no call.

        Raises:
            SettingError: If it cannot be made any more.
        """
        if self._process is None:
            self._facts()

    def begin(self, context: Any) -> None:
        """Start an episode."""
        before = self._desk
        if before is not None:
            before.close()
        self._context, self._desk, self._chats = context, ContextDesk(context, before.made if before else 0), None
        given = {"skills": context.skills, "targets": context.targets, "level": context.level}
        given |= {"lesson_size": context.lesson_size, "order": context.order}
        budget = context.budget
        prices = (budget.step_price, budget.example_price, budget.answer_price)
        self._call("begin", given | {"rng": context.rng.bit_generator.state, "prices": prices})

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """The next lesson."""
        return self._call("act", [observation, info])

    def learn(self, transition: Any) -> None:
        """Be told what came of the lesson; the other side has kept what it saw and did."""
        self._call("learn", list(transition)[2:])

    def most_requests(self, lesson_size: int) -> int | None:
        """See ``teachers.base.Teacher``."""
        found: int | None = self._call("most_requests", lesson_size)
        return found

    def close(self) -> None:
        """End its process; the next call starts another."""
        if self._process is not None:
            self._process.close()
        self._process = self._context = self._desk = None

    def _facts(self) -> TeacherFacts:
        """What the teacher says of itself, from a process that has just started."""
        command, environment = started_by(self._named, self._args, self._limits)
        self._process = TeacherProcess(command, environment)
        try:
            said = self._read(self._process.first())
        except TeacherFailedError as error:
            raise SettingError(f"teacher {self._named!r}: {error}") from error
        fields = said if isinstance(said, dict) else {}
        return validated(TeacherFacts, fields, f"what teacher {self._named!r} says of itself", SettingError)

    def _call(self, name: str, given: Any) -> Any:
        """One call, and what it came to."""
        self.start()
        try:
            message = self._exchanged(name, given)
        except BaseException:  # it waits for an answer that does not come
            self.close()
            raise
        return self._read(message)

    def _exchanged(self, name: str, given: Any) -> Any:
        """The last message of a call, once each question that it asked is answered."""
        assert self._process is not None
        self._process.send({"call": name, "given": given, "live": self._live()})
        while True:
            message = self._process.receive()
            if not isinstance(message, dict) or "ask" not in message:
                return message
            self._process.send(self._answered(message) | {"live": self._live()})

    def _live(self) -> list[int]:
        """What changes in the course of an episode: the purse, and the lessons taught."""
        if self._context is None:
            return [0, 0, 0, 0]
        budget = self._context.budget
        return [budget.total, budget.spent, budget.remaining, self._context.step]

    def _answered(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question, or the error that it raised and that a teacher may catch."""
        try:
            return {"answer": self._answer(message["ask"], message.get("given"))}
        except DataenvError as error:
            kind = next((k for k in (type(error).__name__, "SettingError") if _is(error, k)), None)
            if kind is None:
                raise
            return {"error": [kind, str(error)]}
        except _PLAIN as error:
            return {"error": [next(kind.__name__ for kind in _PLAIN if isinstance(error, kind)), str(error)]}

    def _answer(self, name: Any, given: Any) -> Any:
        desk = self._desk
        if desk is None:
            raise SettingError("no episode has begun; ask from begin() on")
        if not isinstance(given, dict) or not isinstance(name, str):
            raise SettingError("a question is no name with arguments; ask through the context")
        if name == "fork":
            return desk.fork()
        if name == "step":
            return desk.branch(given["branch"]).step(given["action"])
        if name == "leave":
            return desk.leave(given["branch"])
        if name == "try_lessons":
            return desk.try_lessons(given["actions"])
        if name in ("chat", "note"):
            return getattr(self._proxy(), name)(**given)
        return desk.ask(name, given)

    def _proxy(self) -> Any:
        if self._chats is None:
            module, _, attribute = PROXY.partition(":")
            purse: TeacherPurse = self._context.teacher_purse
            self._chats = getattr(importlib.import_module(module), attribute)(self._args, self._context.chats, purse)
        return self._chats

    def _read(self, message: Any) -> Any:
        """What a call came to; an error of the teacher's is raised here as its own sentence."""
        try:
            said = CallResult.model_validate(message)
        except ValidationError:
            self.close()
            raise TeacherFailedError("the teacher's process sent what is no message") from None
        if said.counted is not None:
            self.yields, self.profiles = Counter(said.counted.yields), list(said.counted.profiles)
        if said.failed is None:
            return said.done
        kind, text = said.failed
        raise (getattr(errors, kind) if kind in PASSED_ON and kind != "WireError" else TeacherFailedError)(text)


def _is(error: DataenvError, kind: str) -> bool:
    """Whether an error is passed on as one of a kind."""
    if kind == "SettingError":
        return isinstance(error, SettingError)
    return kind in PASSED_ON
