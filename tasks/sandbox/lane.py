"""One sandbox, as seen from outside: programs in, values out, and nothing of what comes out is trusted."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from typing import Any, get_args

from tasks.sandbox.encoding import decode, encode
from tasks.sandbox.frames import CPU, ENDED, ENDING, HEADER, SIGNALLED, WALL
from tasks.sandbox.records import NoValue, Program, ProgramLimits, ProgramOutcome, Reason, SandboxError
from tasks.sandbox.walls import ENVIRONMENT

STARTING, GRACE = 120.0, 60.0
"""Seconds that a sandbox may take to start, and to say that it has ended a program that passed a limit."""
_ROOM = 10_000_000
_SLACK = 1024
_STOPS = frozenset({"syntax", "entry", "raised", "memory", "output"}) & frozenset(get_args(Reason))
_ENDS: dict[bytes, Reason] = {CPU: "cpu", WALL: "wall", SIGNALLED: "crashed", ENDED: "exited"}


class LostError(SandboxError):
    """A sandbox ended, or does not answer. Its program may be run once more in another."""


def framed(program: Program, limits: ProgramLimits) -> bytes:
    """A program as a sandbox reads it.

    Raises:
        ValueError: If an input holds what cannot be sent.
    """
    try:
        inputs = [encode(list(given), _ROOM) for given in program.inputs]
    except TypeError as error:
        raise ValueError(f"inputs hold a {error}; give plain values (numbers, texts, lists, dicts …)") from None
    except OverflowError:
        raise ValueError("inputs are too large or nested too deeply; give smaller ones") from None
    if program.entry is None and not all(len(given) == 1 and type(given[0]) is str for given in program.inputs):
        raise ValueError("inputs of a script are one text each; give [[text], …], or name the function in entry")
    body = json.dumps({"code": program.code, "entry": program.entry, "inputs": inputs}).encode()
    return HEADER.pack(len(body), limits.cpu, limits.wall, limits.memory, limits.output) + body


class Lane:
    """A sandbox that runs one program after the other. Used by one thread at a time.

    Args:
        command: Gives the command that starts it, from the descriptor that it writes endings to.
    """

    def __init__(self, command: Callable[[int], list[str]]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._told = -1

    def run(self, frame: bytes, inputs: int, limits: ProgramLimits) -> ProgramOutcome:
        """Run one program.

        Args:
            frame: See ``framed``.
            inputs: How many it has.
            limits: As in the frame.

        Raises:
            LostError: If the sandbox ended.
            SandboxError: If it cannot be started.
        """
        if self._process is None:
            self._start()
        try:
            values, ending = self._exchange(frame, limits.output + _SLACK, limits.wall + GRACE)
        except (OSError, EOFError) as error:
            self.close()
            raise LostError(f"the sandbox was lost ({type(error).__name__})") from None
        if ending is None:
            self.close()
            return ProgramOutcome(reason="output")
        how, code, _ = ENDING.unpack(ending)
        return outcome(values, inputs, how, code)

    def close(self) -> None:
        """End it; the next program starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            self.forget(process)
            process.wait()

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """Close our ends, upon which it ends by itself."""
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            with contextlib.suppress(OSError):
                pipe.close()
        os.close(self._told)

    def _start(self) -> None:
        self._told, theirs = os.pipe()
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                self._command(theirs), stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=(theirs,), env=ENVIRONMENT,
                start_new_session=True, bufsize=0, cwd="/",
            )  # fmt: skip
        except BaseException:
            os.close(self._told)
            raise
        finally:
            os.close(theirs)
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        try:
            self._exchange(b"", _SLACK, STARTING)
        except (OSError, EOFError) as error:
            assert self._process.stderr is not None
            self._process.kill()
            said = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
            self.close()
            raise SandboxError(f"it does not start: {said[-1][:200] if said else type(error).__name__}") from None

    def _exchange(self, frame: bytes, most: int, seconds: float) -> tuple[bytes, bytes | None]:
        """Write a frame and read until it is said how its program ended; ``None`` where it wrote more than is allowed.

        Raises:
            EOFError: If the sandbox ends instead.
            TimeoutError: If it says nothing.
        """
        assert self._process is not None
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        values, left, deadline = bytearray(), memoryview(frame), time.monotonic() + seconds
        with selectors.DefaultSelector() as watch:
            watch.register(out, selectors.EVENT_READ)
            watch.register(self._told, selectors.EVENT_READ)
            if left:
                watch.register(into, selectors.EVENT_WRITE)
            while True:
                ready = [key.fileobj for key, _ in watch.select(max(0.0, deadline - time.monotonic()))]
                if not ready:
                    raise TimeoutError
                if into in ready:
                    left = left[os.write(into.fileno(), left) :]
                    if not left:
                        watch.unregister(into)
                if out in ready and not _read(out.fileno(), values):
                    raise EOFError
                if len(values) > most:
                    return bytes(values), None
                if self._told in ready:
                    ending = os.read(self._told, ENDING.size)
                    if len(ending) != ENDING.size:
                        raise EOFError
                    return _rest(out.fileno(), values), ending


def _read(file: int, values: bytearray) -> int:
    part = os.read(file, 1 << 16)
    values += part
    return len(part)


def _rest(file: int, values: bytearray) -> bytes:
    """What is still in the pipe of a program that has ended."""
    os.set_blocking(file, False)
    try:
        while _read(file, values):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(file, True)
    return bytes(values)


def outcome(raw: bytes, inputs: int, how: bytes, code: int) -> ProgramOutcome:
    """What a program's lines say, read as claims: a line that is not exactly of the form makes all of it ``malformed``.

    Args:
        raw: All that it wrote.
        inputs: How many values it should give.
        how: How it ended: see ``inside``.
        code: Its exit code, or the negative number of its signal.
    """
    values: list[object] = []
    try:
        *lines, rest = raw.decode("ascii").split("\n")
        stop: tuple[Reason, str] | None = None
        for line in lines:
            kind, *said = json.loads(line)
            if stop is not None or (kind != "stopped" and len(values) == inputs):
                raise ValueError("more than was asked for")
            if kind == "stopped":
                stop = _stop(*said)
            else:
                values.append(_value(kind, *said))
    except (ValueError, TypeError, RecursionError):
        return ProgramOutcome(reason="malformed")
    if stop is not None:
        return ProgramOutcome(tuple(values), *stop)
    if how != ENDED:
        return ProgramOutcome(tuple(values), _ENDS[how], str(-code) if how == SIGNALLED else "")
    if rest:
        return ProgramOutcome(reason="malformed")
    return ProgramOutcome(tuple(values), None if len(values) == inputs and code == 0 else "exited")


def _value(kind: object, said: Any) -> object:
    if kind == "value":
        return decode(said)
    if kind not in ("raised", "type") or type(said) is not str:
        raise ValueError("no such line")
    return NoValue("raised" if kind == "raised" else "type", said[:100])


def _stop(reason: Any, detail: Any) -> tuple[Reason, str]:
    if type(reason) is not str or reason not in _STOPS or type(detail) is not str:
        raise ValueError("no such line")
    return reason, detail[:100]  # type: ignore[return-value]
