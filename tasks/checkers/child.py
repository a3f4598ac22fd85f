"""Child processes that run what may hang: long-lived, killed and replaced when they miss a deadline."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STARTING = 120.0
"""Seconds that a child may take to start and to import what it checks with; a busy machine is slow at that."""
_PROGRAM = Path(__file__).with_name("child_main.py")


class Child:
    """A child process that answers one JSON line with another. Safe to use from many threads, one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: set[str] = set()
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def ask(self, question: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """What the child answers, or ``{"error": why}`` where it does not, or not within ``deadline`` seconds.

        ``seconds`` says how long it computed, where it was asked in vain how long it was waited for.
        """
        with self._lock:
            op = str(question["op"])
            if op not in self._ready:
                reply = self._exchange({"op": "load", "what": op}, STARTING)
                if "error" in reply:
                    return reply
                self._ready.add(op)
            return self._exchange(question, deadline)

    def close(self) -> None:
        """End the child; the next question starts another."""
        if self._process is not None and self._owner == os.getpid():  # after a fork it is the parent's
            self._process.kill()
            self._process.wait()
            for pipe in filter(None, (self._process.stdin, self._process.stdout)):
                with contextlib.suppress(OSError):  # what it had not read yet goes with it
                    pipe.close()
        self._process, self._ready, self._owner = None, set(), os.getpid()

    def _exchange(self, message: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        try:
            return self._spoken((json.dumps(message) + "\n").encode(), deadline)
        except TimeoutError:
            self.close()
            return {"error": f"{message['op']} took longer than {deadline:g} s", "seconds": deadline}
        except (OSError, EOFError, ValueError) as error:
            self.close()
            return {"error": f"the process of {message['op']} was lost ({type(error).__name__})"}

    def _spoken(self, line: bytes, deadline: float) -> dict[str, Any]:
        """Write a line and read a line.

        Raises:
            TimeoutError: If the answer is not there in time.
            EOFError: If the child ends instead.
        """
        if self._owner != os.getpid() or self._process is None:
            self.close()
            self._process = _start()
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.write(line)  # the child reads before it works, so this does not block
        into.flush()
        with selectors.DefaultSelector() as watch:
            watch.register(out, selectors.EVENT_READ)
            if not watch.select(deadline):
                raise TimeoutError
        answer = out.readline()
        if not answer.endswith(b"\n"):
            raise EOFError
        reply: dict[str, Any] = json.loads(answer)
        return reply


def _start() -> subprocess.Popen[bytes]:
    """A child that sees the packages of this interpreter; ``-P`` keeps this folder off its path."""
    command = [sys.executable, "-P", str(_PROGRAM)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


class Children:
    """A few children, so that one who asks does not wait for the slow question of another; started as they are needed.

    Args:
        size: How many there may be, 1 or more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.renew()

    def renew(self) -> None:
        """Begin anew, as after a fork: the children, and who holds one, are the parent's."""
        self._all = [Child() for _ in range(self._size)]
        self._free: queue.LifoQueue[Child] = queue.LifoQueue()  # the last one to be used is asked first
        for child in self._all:
            self._free.put(child)

    def ask(self, question: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """See ``Child.ask``; waits for a child that is free."""
        child = self._free.get()
        try:
            return child.ask(question, deadline)
        finally:
            self._free.put(child)

    def close(self) -> None:
        """End all of them."""
        for child in self._all:
            child.close()


_CHILDREN = Children(min(4, os.cpu_count() or 1))
ask = _CHILDREN.ask
"""Ask one of this process's children: ``ask(question, deadline)``."""
atexit.register(_CHILDREN.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CHILDREN.renew)
