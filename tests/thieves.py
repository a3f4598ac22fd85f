"""Teachers that cheat. They are run in a process of their own, and count what they got hold of in ``yields``."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Thief:
    """Tries everything at its first lesson, and teaches nothing.

    Args:
        folder: Of the driver, where a file ``secret`` lies.
        port: Of the driver, where somebody listens.
        pid: Of the driver.
        sealed: A sealed prompt's beginning; any object that holds it is loot.
    """

    name, level = "thief", "skill-list"

    def __init__(self, folder: str, port: int, pid: int) -> None:
        self.folder, self.port, self.pid = folder, port, pid
        self.yields: Counter[str] = Counter()

    def begin(self, context: Any) -> None:
        self.context = context

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        for name, attempt in self.attempts().items():
            self.yields[name] = self.tried(attempt)
        return np.zeros(len(self.context.skills), np.float32)

    @staticmethod
    def tried(attempt: Callable[[], Any]) -> int:
        """1 where it came by something. What an attempt raises has failed, and says nothing else."""
        try:
            return int(bool(attempt()))
        except Exception:
            return 0

    def attempts(self) -> dict[str, Callable[[], Any]]:
        return {
            "honest: reads its own module": lambda: Path(__file__).read_text(),
            "honest: imports numpy": lambda: np.ones(2).sum(),
            "sealed split through the context": lambda: self.context._env.task.split("test"),
            "sealed split through the context's setting": lambda: self.context._env.setting,
            "sealed split through a branch": lambda: self.context.fork().task,
            "sealed split through objects": lambda: [o for o in gc.get_objects() if type(o).__name__ == "Problem"],
            "sealed split through frames": self.through_frames,
            "sealed split through the task's module": lambda: __import__("tasks.arithmetic").arithmetic,
            "sealed split through another task's module": lambda: __import__("tasks.words").words,
            "sealed split through packages of benchmarks": lambda: __import__("reasoning_gym"),
            "the store through its folder": lambda: os.listdir(self.folder),
            "a file of the driver's": lambda: (Path(self.folder) / "secret").read_text(),
            "users of the machine": lambda: Path("/etc/passwd").read_text(),
            "variables of the driver": lambda: Path(f"/proc/{self.pid}/environ").read_bytes(),
            "memory of the driver": lambda: open(f"/proc/{self.pid}/mem", "rb"),
            "files of the driver through /proc": lambda: os.listdir(f"/proc/{self.pid}/fd"),
            "a key in its own variables": lambda: [name for name in os.environ if name.endswith(("KEY", "TOKEN"))],
            "the network": lambda: socket.create_connection(("127.0.0.1", self.port), 1),
            "a socket": lambda: socket.socket(),
            "a process": lambda: os.fork() + 1,
            "a signal": lambda: os.kill(os.getppid(), 0) or True,
            "a written file": self.writes,
            "a process to look into": lambda: ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0,
            "the grader, patched": self.patches,
            "the student, replaced": lambda: self.raw("step", branch=0, action=[1.0]),
            "the environment by name": lambda: self.raw("_env"),
            "the purse by name": lambda: self.raw("budget"),
            "an attribute of a method": lambda: self.raw("probe.__globals__"),
            "stored replies of others": lambda: self.context.chats.get("x"),
            "a chat that nobody gave it": self.chats,
            "more money": self.pays_in,
            "a negative price": lambda: self.context.probe([], "loss").size or self.context.sample(["ab>"], -1),
        }

    def through_frames(self) -> Any:
        frame, found = sys._getframe(), []
        while frame is not None:
            found += [value for value in frame.f_locals.values() if type(value).__name__ in ("TeachingEnv", "Setting")]
            frame = frame.f_back  # type: ignore[assignment]
        return found

    def writes(self) -> bool:
        with open("/tmp/loot" if os.path.isdir("/tmp") else "/loot", "w") as file:
            file.write("x")
        return True

    def patches(self) -> bool:
        """It may patch what is in its own process; what the driver counts is looked at by the test."""
        from tasks.base import Task

        Task.grade = lambda *_: True  # type: ignore[method-assign, assignment]
        return False

    def raw(self, name: str, **given: Any) -> Any:
        return self.context._ask(name, given)

    def chats(self) -> Any:
        chat = {"base_url": f"http://127.0.0.1:{self.port}/v1", "model": "any"}
        return self.raw("chat", number=0, spec=chat, asks=[{"messages": [{"role": "user", "content": "hi"}]}])

    def pays_in(self) -> bool:
        before = self.context.budget.remaining
        self.context.budget.live = [10**9, 0, 10**9, 0]
        self.context.step  # noqa: B018
        self.context.readable([])  # the driver tells the purse anew
        return bool(self.context.budget.remaining > before)


class Hoarder:
    """Keeps a branch, its budget and its context from one episode, and spends them in the next."""

    name, level = "hoarder", "skill-list"

    def __init__(self) -> None:
        self.kept: Any = None
        self.yields: Counter[str] = Counter()

    def begin(self, context: Any) -> None:
        self.old, self.kept = self.kept, context
        self.branch = context.fork()

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        if self.old is not None:
            self.yields["spent from a closed purse"] = Thief.tried(lambda: self.branch_of_before.step(np.ones(2)))
        self.branch_of_before = self.branch
        return np.zeros(2, np.float32)


class Forger(Thief):
    """Writes to the pipe by itself."""

    def __init__(self, line: str) -> None:
        super().__init__("", 0, 0)
        self.line = line

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        for file in range(3, 64):
            try:
                os.write(file, self.line.encode() + b"\n")
            except OSError:
                continue
        return super(Thief, self).__repr__()


class Greedy:
    """Takes more than it may."""

    name, level = "greedy", "skill-list"

    def __init__(self, what: str) -> None:
        self.what = what

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        if self.what == "memory":
            return len(bytearray(64 << 30))
        if self.what == "time":
            while True:
                pass
        if self.what == "sleep":
            time.sleep(600)
        if self.what == "leave":
            os._exit(0)
        if self.what == "store":
            from dataenv.errors import StoreError

            raise StoreError("the store is broken; stop everything")
        raise RuntimeError(json.dumps(self.what))
