"""What runs within the wall: it forks a process for each program, watches it, and says how it ended.

The process that forks never reads a program or a value: its child does, after the fork. So no program finds anything of
another one in its memory. Programs come on descriptor 0, values leave on 1, and endings on one of their own.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes  # noqa: F401
import gc
import io
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from tasks.sandbox import cage
from tasks.sandbox.encoding import DEEPEST, decode, encode, name_of
from tasks.sandbox.frames import CPU, ENDED, ENDING, HEADER, SIGNALLED, WALL

IN, OUT = 0, 1
FULL = b'["stopped", "memory", ""]\n'


def serve(told: int, readable: list[str], listed: list[str], processes: int) -> None:
    """Run programs until nobody gives any more.

    Args:
        told: The descriptor that endings are written to.
        readable: The files that can be read, where no other wall hides the rest; empty where one does.
        listed: See ``cage.hide_files``.
        processes: See ``cage.limit``.
    """
    null = os.open("/dev/null", os.O_RDWR)
    if readable:
        cage.hide_files(readable, listed)
    cage.LIBC.prctl(cage.PR_SET_DUMPABLE, 0, 0, 0, 0)  # so no child may look into this process, or change it
    gc.collect()
    gc.freeze()
    os.write(told, ENDING.pack(ENDED, 0, 0.0))  # it is up
    while header := os.read(IN, HEADER.size):
        _, cpu, wall, _, _ = HEADER.unpack(header)
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            _be_program(header, processes, null, told, parent)
        os.write(told, ENDING.pack(*_watch(pid, cpu, wall)))


def _watch(pid: int, cpu: float, wall: float) -> tuple[bytes, int, float]:
    """Wait for a process, and end it when it passes a limit or its caller is gone."""
    handle, began = os.pidfd_open(pid), time.monotonic()
    clock = (~pid << 3) | 2  # of the process's own time: CPUCLOCK_SCHED, linux/posix-timers_types.h
    watched = select.poll()
    watched.register(handle, select.POLLIN)
    watched.register(IN, 0)  # told only when the other side is gone
    how, left = ENDED, cpu
    while True:
        ready = watched.poll(max(1.0, 1000 * min(left, wall - (time.monotonic() - began))))
        if any(file == handle for file, _ in ready):
            break
        left = cpu - time.clock_gettime(clock)
        how = CPU if left <= 0 else WALL if time.monotonic() - began >= wall or ready else ENDED
        if how is not ENDED:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            break
    _, status, usage = os.wait4(pid, 0)
    os.close(handle)
    code = os.waitstatus_to_exitcode(status)
    if how is ENDED and code < 0:
        how = CPU if -code == signal.SIGXCPU else SIGNALLED
    return how, code, usage.ru_utime + usage.ru_stime


def _be_program(head: bytes, processes: int, null: int, told: int, parent: int) -> NoReturn:
    """Read a program, give up all that it could do harm with, run it, and end."""
    size, cpu, _, memory, output = HEADER.unpack(head)
    results = os.dup(OUT)
    write = _writer(results, output)
    try:
        given = json.loads(_read(size))
        for file in (IN, OUT, 2, told):
            os.dup2(null, file)
        cage.end_with_parent(parent)
        cage.limit(cpu, memory, processes)
        cage.close_system()
        random.seed(0)  # a fork draws a seed of its own
        _run(given, write, output)
    except MemoryError:
        os.write(results, FULL)  # made beforehand, for there may be no room
    except BaseException as error:
        write(["stopped", "raised", name_of(type(error))])
    finally:
        os._exit(0)


def _read(size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(IN, size - len(parts))
        if not part:
            os._exit(1)
        parts += part
    return bytes(parts)


def _writer(file: int, output: int) -> Callable[[list[Any]], None]:
    """Writes messages, one line each, and in all no more than is allowed."""
    left = output

    def write(said: list[Any]) -> None:
        nonlocal left
        line = json.dumps(said).encode() + b"\n"
        left -= len(line)
        if left < 0 and said[0] != "stopped":
            write(["stopped", "output", ""])
            os._exit(0)
        while line:
            line = line[os.write(file, line) :]

    return write


def _run(given: dict[str, Any], write: Callable[[list[Any]], None], output: int) -> None:
    """Compile a program, and give it one input after the other."""
    try:
        code = compile(given["code"], "program", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, OverflowError) as error:
        return write(["stopped", "syntax", name_of(type(error))])
    call: Callable[..., object] = lambda text: _script(code, text, output)  # noqa: E731
    if given["entry"] is not None:
        names = _names("program")
        exec(code, names)
        found = names.get(given["entry"])
        if not callable(found):
            return write(["stopped", "entry", ""])
        call = found
    for arguments in given["inputs"]:
        write(_answer(call, decode(arguments), output))
    return None


def _answer(call: Callable[..., object], arguments: list[Any], output: int) -> list[Any]:
    """What a call gives, as a message. No message is made of an object's own methods."""
    try:
        value = call(*arguments)
    except MemoryError:
        raise
    except BaseException as error:
        return ["raised", name_of(type(error))]
    try:
        return ["value", encode(value, room=output)]
    except TypeError as error:
        return ["type", str(error)]
    except OverflowError:
        return ["type", f"a value with more than {output} parts or {DEEPEST} levels"]


def _names(name: str) -> dict[str, Any]:
    return {"__name__": name, "__builtins__": builtins}


def _script(code: Any, text: str, output: int) -> str:
    """What a script writes to its standard output, given a text on its standard input."""
    written = _Written(output)
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")), "utf-8")
    sys.stdout = io.TextIOWrapper(written, "utf-8", newline="\n", write_through=True)
    with contextlib.suppress(SystemExit):
        exec(code, _names("__main__"))
    with contextlib.suppress(ValueError):  # it may have closed it
        sys.stdout.flush()
    return bytes(written.kept).decode("utf-8", "replace")


class _Written(io.RawIOBase):
    """Keeps what is written, up to a limit."""

    def __init__(self, most: int) -> None:
        self.kept, self.most = bytearray(), most

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        if len(self.kept) + len(part) > self.most:
            raise OverflowError(f"more than {self.most} bytes were written")
        self.kept += part
        return len(part)


# What programs often import is there before the fork, and costs each of them nothing.
import bisect  # noqa: E402, F401
import collections  # noqa: E402, F401
import copy  # noqa: E402, F401
import datetime  # noqa: E402, F401
import functools  # noqa: E402, F401
import heapq  # noqa: E402, F401
import itertools  # noqa: E402, F401
import math  # noqa: E402, F401
import operator  # noqa: E402, F401
import re  # noqa: E402, F401
import string  # noqa: E402, F401
import typing  # noqa: E402, F401
