"""Trackers: who is told of a board's progress. ``Terminal`` is in ``dataenv.leaderboard.progress``.

One of your own is one class and one name: the entry-point group ``dataenv.trackers``, or
``dataenv.register("tracker", "mine", Mine)``.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from dataenv import registry
from dataenv.environment.steps import StepRecord
from dataenv.errors import SettingError
from dataenv.leaderboard.decisions import Look
from dataenv.leaderboard.runs import Run
from tasks.records import canonical_json


class Outline(NamedTuple):
    """What a board is about to do.

    Attributes:
        runs: How many runs each line has: a teacher, a reference, the search for the best mixture.
        tokens: Student tokens that the runs may spend.
        warm: Student tokens, about, that one warm start takes; no purse pays it, but time passes.
        seeds: How many seeds there are, and so warm starts.
        width: How many jobs run at once.
        busy: Tells how many do.
    """

    runs: dict[str, int]
    tokens: int
    warm: int
    seeds: int
    width: int
    busy: Callable[[], int]


class Tracker:
    """Is told of progress, from any thread, and changes nothing. The defaults do nothing.

    It is entered before the board begins and left when the board has ended, in whatever way.
    """

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Stop."""

    def begin(self, outline: Outline) -> None:
        """Called once, with what the board is about to do."""

    def start(self, cell: Run) -> None:
        """Called with a run that is about to begin; its untaught student may still have to be made."""

    def step(self, cell: Run, record: StepRecord) -> None:
        """Called with the run and the record of each step; the first is that of the untaught student."""

    def done(self, cell: Run, error: str | None) -> None:
        """Called with a run that has ended, and why, in one sentence, where it failed.

        Of runs that are cut off with their board, nothing is said.
        """

    def look(self, look: Look) -> None:
        """Called with each look at a board that adds seeds until its teachers are decided."""


def make_tracker(given: str) -> Tracker:
    """A tracker by name; ``jsonl:events.jsonl`` is short for its path.

    Raises:
        SettingError: If there is none of that name (with the nearest one), or it is no tracker.
    """
    made = registry.build("tracker", given)
    if not isinstance(made, Tracker):
        raise SettingError(f"tracker {given!r} is no subclass of {Tracker.__module__}.Tracker; derive it from that")
    return made


class Trackers(Tracker):
    """Several trackers as one. One that raises is told nothing more, and the board goes on.

    Args:
        members: By name.
        warn: Told, in one sentence, of a tracker that raised.
    """

    def __init__(self, members: Mapping[str, Tracker], warn: Callable[[str], None] | None = None) -> None:
        self._members, self._lock = dict(members), threading.Lock()
        self._failed: set[str] = set()
        self._warn = warn or (lambda said: warnings.warn(said, RuntimeWarning, stacklevel=2))

    def __enter__(self) -> Self:
        """Start all of them; here a failure ends the board, for nothing has been computed yet."""
        begun: list[Tracker] = []
        for name, member in self._members.items():
            try:
                member.__enter__()
            except Exception as error:
                for other in reversed(begun):
                    other.__exit__(None, None, None)
                raise SettingError(f"tracker {name!r} cannot start ({_said(error)}); mend or leave it out") from error
            begun.append(member)
        return self

    def __exit__(self, *what: Any) -> None:
        """Stop all of them, those that failed too: they may hold a terminal or a file."""
        self._tell(lambda member: member.__exit__(*what), to_failed=True)

    def begin(self, outline: Outline) -> None:
        """See Tracker."""
        self._tell(lambda member: member.begin(outline))

    def start(self, cell: Run) -> None:
        """See Tracker."""
        self._tell(lambda member: member.start(cell))

    def step(self, cell: Run, record: StepRecord) -> None:
        """See Tracker."""
        self._tell(lambda member: member.step(cell, record))

    def done(self, cell: Run, error: str | None) -> None:
        """See Tracker."""
        self._tell(lambda member: member.done(cell, error))

    def look(self, look: Look) -> None:
        """See Tracker."""
        self._tell(lambda member: member.look(look))

    def _tell(self, tell: Callable[[Tracker], None], to_failed: bool = False) -> None:
        for name, member in self._members.items():
            if name in self._failed and not to_failed:
                continue
            try:
                tell(member)
            except Exception as error:  # somebody's display must not cost a board; it is said once
                with self._lock:
                    known = name in self._failed
                    self._failed.add(name)
                if not known:
                    self._warn(f"tracker {name!r} failed ({_said(error)}) and is told nothing more; the board goes on")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class JsonlTracker(Tracker):
    """Writes one line of JSON an event to the end of a file: begin, start, step and done.

    Args:
        path: The file; made if need be.
        clock: Whether each line tells the ``seconds`` since the board began. Without, equal runs leave equal lines
            (with one worker; several write in the order in which they come).
    """

    def __init__(self, path: str, clock: bool = False) -> None:
        self._path, self._clock = Path(path), clock
        self._lock, self._began = threading.Lock(), time.monotonic()
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Open the file."""
        self._file, self._began = self._path.open("a", encoding="utf-8"), time.monotonic()
        return self

    def __exit__(self, *_: Any) -> None:
        """Close it."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def begin(self, outline: Outline) -> None:
        """The runs by line, and the student tokens that they may spend."""
        self._write("begin", {k: v for k, v in outline._asdict().items() if k != "busy"})

    def start(self, cell: Run) -> None:
        """The run."""
        self._write("start", _run(cell))

    def step(self, cell: Run, record: StepRecord) -> None:
        """The step, what was spent so far, and right answers of the selection exam."""
        counted = {"correct": sum(record.selection.correct), "n": sum(record.selection.n)}
        told = {"step": record.step, "spent": record.spent, "reward": record.reward, "selection": counted}
        self._write("step", _run(cell) | told)

    def done(self, cell: Run, error: str | None) -> None:
        """Why it failed; ``null`` where it did not."""
        self._write("done", _run(cell) | {"error": error})

    def look(self, look: Look) -> None:
        """The look, as ``looks.jsonl`` has it."""
        self._write("look", look.model_dump(mode="json"))

    def _write(self, event: str, told: dict[str, Any]) -> None:
        with self._lock:
            if self._file is None:  # the board was cut off, and a run of it still ends
                return
            seconds = {"seconds": round(time.monotonic() - self._began, 3)} if self._clock else {}
            self._file.write(canonical_json({"event": event, **told, **seconds}) + "\n")
            self._file.flush()


def _run(cell: Run) -> dict[str, Any]:
    return {"label": cell.label, "role": cell.role, "seed": cell.seed}


def tracking(given: Sequence[str], first: Mapping[str, Tracker], warn: Callable[[str], None] | None = None) -> Trackers:
    """The trackers that a user names, after those that are there anyway; one that is there is not made twice.

    Args:
        given: Names, such as ``jsonl:events.jsonl``.
        first: By name.
        warn: See ``Trackers``.

    Raises:
        SettingError: See ``make_tracker``.
    """
    return Trackers({**first, **{name: make_tracker(name) for name in given if name not in first}}, warn)
