"""Calls of a teacher: somebody else's code, which may raise whatever it likes, and may never come back."""

from __future__ import annotations

import concurrent.futures as futures
import ctypes
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from dataenv.environment.env import TeachingEnv
from dataenv.errors import TeacherFailedError

ACT_DEADLINE = 600.0
"""Seconds for each call of a teacher on a board, unless told otherwise."""
LOOK = 0.5
"""Seconds between two looks at a call that is not done."""
GRACE = 3.0
"""Seconds that a call has to end in when its time is over; then its thread is left to itself."""
LONGEST = 300
"""Characters of an error that somebody's code raised."""
OURS = str(Path(__file__).parents[1])


class Calls:
    """Calls of one teacher in one episode.

    With a time limit they are made in a thread of the teacher's own, one after the other. What waits for training, for
    an exam or for the reply of a language model is not counted. A call that is over its time is ended from outside,
    which Python can do between two of its instructions; one that is inside a library then, and stays there, is left
    behind, and the episode is over. Nothing ends a library that never lets another thread have its turn.

    Args:
        env: Of the episode.
        limit: Seconds for each call; ``None`` for no limit, and calls in the caller's own thread.
    """

    def __init__(self, env: TeachingEnv, limit: float | None = None) -> None:
        self._env, self._limit = env, limit
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if limit is not None:
            self._thread = threading.Thread(target=self._serve, name="teacher", daemon=True)
            self._thread.start()

    def __call__(self, name: str, function: Callable[..., Any], *given: Any) -> Any:
        """What a call gives back.

        Args:
            name: Of the method, for the sentence.
            function: Of the teacher.
            given: To it.

        Raises:
            TeacherFailedError: If it was not done in time, made or reset steps of the environment itself, or asked the
                interpreter to end.
        """
        history, steps = self._env.history, len(self._env.history)
        try:
            got = function(*given) if self._thread is None else self._timed(name, function, given, self._thread)
        except (SystemExit, GeneratorExit) as error:  # else a command ends here without a word, with its exit code
            raise TeacherFailedError(described(error)) from error
        if self._env.history is not history or len(history) != steps:
            raise TeacherFailedError(f"{name}() has reset or stepped the environment itself; try things on a fork")
        return got

    def close(self) -> None:
        """Let the thread end."""
        self._asked.put(None)

    def _serve(self) -> None:
        while (call := self._asked.get()) is not None:
            call()

    def _timed(self, name: str, function: Callable[..., Any], given: tuple[Any, ...], thread: threading.Thread) -> Any:
        done, got = threading.Event(), list[Any]()
        failed: list[BaseException] = []

        def call() -> None:
            try:
                got.append(function(*given))
            except BaseException as error:  # handed over below
                failed.append(error)
            finally:
                done.set()

        self._asked.put(call)
        late = self._wait(done, thread)
        if late is not None:
            self._end(done, thread)
            raise TeacherFailedError(
                f"{name}() was not done within {self._limit:g} seconds ({late}); see that it ends, or raise the limit"
            ) from (failed[0] if failed else None)
        if failed and not isinstance(failed[0], Exception):  # SystemExit, or a Ctrl-C that nobody typed
            raise TeacherFailedError(described(failed[0])) from failed[0]
        if failed:
            raise failed[0]
        return got[0]

    def _wait(self, done: threading.Event, thread: threading.Thread) -> str | None:
        """Wait for a call; where it stood when its time was over, or ``None``."""
        assert self._limit is not None
        used, before, progress = 0.0, time.monotonic(), self._progress
        while not done.wait(min(LOOK, self._limit)):
            now, then = time.monotonic(), before
            before = now
            if self._env.runner.stopped:  # Ctrl-C, which waits for every thread of the driver
                return "everything was stopped"
            if self._progress != progress or self._env.runner.waits(thread):
                used, progress = 0.0, self._progress
                continue
            used += now - then
            if used >= self._limit and not done.is_set():  # it may have ended while this thread got no processor
                return _standing(sys._current_frames().get(thread.ident or 0))
        return None

    @property
    def _progress(self) -> Any:
        """What changes when a language model replies."""
        purse = self._env.teacher_purse
        return purse.spent, sum(purse.replies.values())

    def _end(self, done: threading.Event, thread: threading.Thread) -> None:
        """End a call, as ``sys.exit`` would; and let what it may have left behind spend nothing any more."""
        until = time.monotonic() + GRACE
        while not done.is_set() and time.monotonic() < until:
            ident = ctypes.c_ulong(thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
            done.wait(LOOK)
        if not done.is_set():
            self._env.purse.close()
            self._env.teacher_purse.close()


def described(error: BaseException) -> str:
    """An error of somebody's code as one sentence: its type, what it says, and where it was raised."""
    try:
        said = " ".join(str(error).split())[:LONGEST]
    except Exception:  # even its text is somebody's code
        said = ""
    place, trace = "", error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if not place or not frame.f_code.co_filename.startswith(OURS):
            place = _place(frame, trace.tb_lineno)
        trace = trace.tb_next
    return f"{type(error).__name__}{': ' * bool(said)}{said} ({place or 'nowhere'})"


def raised_here(error: BaseException) -> bool:
    """Whether an error was raised by this project, or in a worker, and not by somebody else's code."""
    file, trace = "", error.__traceback__
    while trace is not None:
        file, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return file.startswith((OURS, futures.__file__.removesuffix("__init__.py")))


def _standing(frame: FrameType | None) -> str:
    """Where a call stands: of an isolated teacher only that it is in a process of its own."""
    at = frame
    while at is not None:
        if Path(at.f_code.co_filename).parent.name == "isolation":
            return "in a process of its own"
        at = at.f_back
    return _place(frame)


def _place(frame: FrameType | None, line: int = 0) -> str:
    """File, line and function: of a file its name alone, for its folder is that of one machine."""
    if frame is None:
        return "nowhere"
    code = frame.f_code
    return f"{Path(code.co_filename).name}:{line or frame.f_lineno} in {code.co_name}"
