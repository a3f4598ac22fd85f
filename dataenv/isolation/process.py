"""The process of a teacher, as the driver sees it: lines in, lines out, and an end that it cannot put off."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dataenv.errors import TeacherFailedError
from dataenv.isolation.wire import MOST_BYTES, WireError, dumps, loads

STARTING = 120.0
"""Seconds that a process may take to start."""
LOOK = 0.2
"""Seconds after which a wait lets Python look up, so that a call that is over its time can be ended."""
_SPAWNERS: dict[int, ThreadPoolExecutor] = {}


def _spawner() -> ThreadPoolExecutor:
    """A thread that lasts as long as this process: a child is killed by the kernel when the thread it is of ends."""
    return _SPAWNERS.setdefault(os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="teachers"))


class TeacherProcess:
    """A process at the other end of two pipes. Used by one thread at a time.

    Args:
        command: Starts it.
        environment: Its variables; none of ours are handed on.

    Raises:
        TeacherFailedError: If it cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        begin = _spawner().submit(
            subprocess.Popen, list(command), stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment),
            start_new_session=True, bufsize=0, cwd="/",
        )  # fmt: skip
        try:
            self._process: subprocess.Popen[bytes] = begin.result()
        except OSError as error:
            raise TeacherFailedError(f"the teacher's process cannot be started ({error.strerror})") from error
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
        self._rest, self._last_words = bytearray(), ""
        self._end = weakref.finalize(self, _ended, self._process)

    def first(self) -> Any:
        """The first message: the process is up.

        Raises:
            TeacherFailedError: If it ends instead, or says nothing.
        """
        try:
            return self.receive(STARTING)
        except TeacherFailedError as error:
            why = self._last_words or str(error)
            self.close()
            raise TeacherFailedError(f"the teacher's process does not start: {why}") from error

    def send(self, message: Any) -> None:
        """Write one line.

        Raises:
            TeacherFailedError: If the process is gone.
            WireError: If the message cannot be sent.
        """
        left, stdin = memoryview(dumps(message)), self._process.stdin
        assert stdin is not None
        with selectors.DefaultSelector() as watch:
            watch.register(stdin, selectors.EVENT_WRITE)
            while left:
                if watch.select(LOOK):
                    try:
                        left = left[os.write(stdin.fileno(), left) :]
                    except OSError:
                        self._gone()

    def receive(self, seconds: float | None = None) -> Any:
        """Read one line.

        Args:
            seconds: To wait for it; ``None`` waits as long as the process is there.

        Raises:
            TeacherFailedError: If the process is gone, says nothing in time, or says what is no message.
        """
        stdout, until = self._process.stdout, None if seconds is None else time.monotonic() + seconds
        assert stdout is not None
        with selectors.DefaultSelector() as watch:
            watch.register(stdout, selectors.EVENT_READ)
            while (end := self._rest.find(b"\n")) < 0:
                if until is not None and time.monotonic() > until:
                    raise TeacherFailedError("the teacher's process says nothing")
                if not watch.select(LOOK):
                    continue
                part = os.read(stdout.fileno(), 1 << 20)
                if not part:
                    self._gone()
                self._rest += part
                if len(self._rest) > MOST_BYTES:
                    self.close()
                    raise TeacherFailedError("the teacher's process sent too long a message")
        line, self._rest = bytes(self._rest[:end]), self._rest[end + 1 :]
        try:
            return loads(line)
        except WireError as error:
            self.close()
            raise TeacherFailedError(f"the teacher's process sent what is no message: {error}") from error

    def close(self) -> None:
        """End it."""
        self._end()

    def _gone(self) -> None:
        self._process.kill()
        code, stderr = self._process.wait(), self._process.stderr
        assert stderr is not None
        os.set_blocking(stderr.fileno(), False)
        said = (stderr.read() or b"").decode("utf-8", "replace").strip().splitlines()
        self._last_words = said[-1][:200] if said else ""
        self.close()
        raise TeacherFailedError(
            f"the teacher's process has ended (code {code}): it left, or passed a limit of time or memory"
        )


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
        with contextlib.suppress(OSError):
            stream.close()
    process.wait()
