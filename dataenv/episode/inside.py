"""The other side of the pipe: the process in which a teacher that is nobody's of ours is made, and called.

It gives up all that it could do harm with before the first line of the teacher's is read: files, sockets, processes,
signals. ``dataenv.isolation.walls`` starts it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from dataenv import errors, registry
from dataenv.episode.calls import described
from dataenv.episode.context import Trial
from dataenv.episode.distant import DistantContext
from dataenv.episode.probes import Answered
from dataenv.episode.profiles import profiles_of
from dataenv.episode.teacher import AdaptedTeacher, Transition, build_teacher, yields_of
from dataenv.errors import DataenvError, SettingError
from dataenv.isolation import teacher as outside
from dataenv.isolation.wire import WireError, dumps, loads
from tasks.sandbox import cage

NAMED = {"Answered": Answered, "Trial": Trial}


class Pipe:
    """Lines from and to the driver."""

    def __init__(self) -> None:
        self._lines = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb")

    def send(self, message: Mapping[str, Any]) -> None:
        """Write a line."""
        self._out.write(dumps(dict(message)))
        self._out.flush()

    def receive(self) -> dict[str, Any]:
        """Read a line; without one the driver is gone, and so is this process."""
        line = self._lines.readline()
        if not line:
            os._exit(0)
        message: dict[str, Any] = loads(line, NAMED)
        return message


class Hosted:
    """A teacher, and what it was shown and did last.

    Args:
        teacher: As ``as_teacher`` gives it.
        pipe: To the driver.
    """

    def __init__(self, teacher: AdaptedTeacher, pipe: Pipe) -> None:
        self._teacher, self._pipe = teacher, pipe
        self._context: DistantContext | None = None
        self._last: tuple[Any, Any] = (None, None)

    def call(self, name: str, given: Any, live: list[int]) -> Any:
        """A call from the driver."""
        if name == "most_requests":
            return self._teacher.most_requests(given)
        if name == "begin":
            self._context = DistantContext(given, self._ask)
        self._set(live)
        if name == "begin":
            return self._begin()
        if name == "act":
            action = self._teacher.act(*given)
            self._last = (given[0], action)
            return action
        return self._teacher.learn(Transition(*self._last, *given))

    def counted(self) -> dict[str, Any]:
        """What the teacher has counted."""
        return {
            "yields": yields_of(self._teacher),
            "profiles": [profile.model_dump(mode="json") for profile in profiles_of(self._teacher)],
        }

    def _begin(self) -> None:
        assert self._context is not None
        try:
            self._teacher.begin(self._context)
        except ValueError as error:
            raise SettingError(f"teacher {self._teacher.kind} cannot begin: {error}") from error

    def _ask(self, name: str, given: dict[str, Any]) -> Any:
        self._pipe.send({"ask": name, "given": given})
        message = self._pipe.receive()
        self._set(message["live"])
        if "error" not in message:
            return message["answer"]
        kind, said = message["error"]
        if kind in outside.PASSED_ON:
            raise (WireError if kind == "WireError" else getattr(errors, kind))(said)
        raise getattr(__import__("builtins"), kind)(said)

    def _set(self, live: list[int]) -> None:
        if self._context is not None:
            self._context.budget.live = live  # type: ignore[attr-defined]


def serve(
    name: str,
    where: str,
    args: dict[str, Any],
    readable: list[str],
    listed: list[str],
    processes: int,
    cpu: float,
    memory: int,
    parent: int,
) -> None:
    """Give up what could do harm, make the teacher, say what it is, and take calls until the driver is gone.

    Args:
        name: Of the teacher.
        where: ``module:Class``.
        args: Its arguments.
        readable: See ``cage.hide_files``; empty where a namespace hides the files.
        listed: As ``readable``.
        processes: See ``cage.limit``.
        cpu: Seconds of computing.
        memory: Bytes of address space.
        parent: The driver's number, where this process is its child; else 0.
    """
    pipe = Pipe()
    with open(os.devnull, "r+b", buffering=0) as null:
        os.dup2(null.fileno(), 0)
        os.dup2(null.fileno(), 1)
        if readable:
            cage.hide_files(readable, listed)
        if parent:
            cage.end_with_parent(parent)
        cage.limit(cpu, memory, processes)
        cage.close_system()
        os.dup2(null.fileno(), 2)
    if name != where:
        registry.register("teacher", name, where)
    hosted = _answer(pipe, lambda: _made(name, args, pipe))
    while hosted is not None:
        message = pipe.receive()
        _answer(pipe, lambda m=message: (None, hosted.call(m["call"], m["given"], m["live"])), hosted)  # type: ignore[misc]


def _made(name: str, args: dict[str, Any], pipe: Pipe) -> tuple[Hosted, dict[str, Any]]:
    teacher = build_teacher(name, args)
    facts = {
        "name": teacher.name,
        "level": teacher.level,
        "prior_compute": teacher.prior_compute,
        "row_args": teacher.row_args,
        "trained_on": teacher.trained_on,
    }
    return Hosted(teacher, pipe), facts


def _answer(pipe: Pipe, call: Callable[[], tuple[Hosted | None, Any]], hosted: Hosted | None = None) -> Hosted | None:
    """Make a call, and tell the driver what came of it."""
    made = None
    try:
        made, done = call()
        message: dict[str, Any] = {"done": done}
        line = message | _counted(hosted)
        dumps(line)
    except DataenvError as error:
        passed_on = type(error).__name__ in outside.PASSED_ON
        line = {"failed": [type(error).__name__, str(error) if passed_on else described(error)]} | _counted(hosted)
    except (Exception, SystemExit, GeneratorExit) as error:
        line = {"failed": ["", described(error)]} | _counted(hosted)
    pipe.send(line)
    return made


def _counted(hosted: Hosted | None) -> dict[str, Any]:
    if hosted is None:
        return {}
    with contextlib.suppress(DataenvError):  # said of a teacher that is asked in the driver, and failed there
        return {"counted": hosted.counted()}
    return {}
