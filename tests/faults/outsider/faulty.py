"""A student from outside for trying faults: the real `pocket`, which logs what it trains and can be told to fail.

The folder `$DATAENV_FAULTS` holds the log and the traps. A trap is a file named KIND-N: the first training run that
removes it falls into it, whatever process it runs in. KIND-always is never removed. A trap that holds a number is for
training runs of that many updates alone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from students.base import Data, Recipe, Trained
from students.pocket.student import Pocket
from tasks.records import digest


class Faulty(Pocket):
    """`pocket`, with traps."""

    name = "faulty"

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Log, pause, fall into a trap if one is set, and train."""
        folder = Path(os.environ["DATAENV_FAULTS"])
        name = digest([digest(weights.hex()), data.digest, recipe.model_dump(mode="json"), seed])
        _log(folder, f"begun {os.getpid()} {name}")
        time.sleep(float(os.environ.get("DATAENV_FAULTS_PAUSE", "0")))
        for kind, fall in TRAPS.items():
            if _take(folder, kind, recipe.updates):
                _log(folder, f"{kind} {os.getpid()} {name}")
                fall()
        trained = super().fit(weights, data, recipe, seed)
        _log(folder, f"ended {os.getpid()} {name}")
        return trained


def _log(folder: Path, line: str) -> None:
    handle = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def _take(folder: Path, kind: str, updates: int) -> bool:
    for trap in sorted(folder.glob(f"{kind}-*")):
        try:
            if trap.read_text() not in ("", str(updates)):
                continue
            if trap.name != f"{kind}-always":
                trap.unlink()
        except FileNotFoundError:  # another worker was first
            continue
        return True
    return False


def _hang() -> None:
    """Hang in C with the interpreter's lock held: nothing written in Python can end it."""
    ctypes.PyDLL(None).pause()


def _eat() -> None:
    """Take memory until there is none: a GiB more than now, or all that Ray allows where the test has it watch."""
    if "RAY_memory_usage_threshold" not in os.environ:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), resource.RLIM_INFINITY))
    held: list[Any] = []
    try:
        while True:
            held.append(b"x" * (64 << 20))
    finally:
        held.clear()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Awkward(Exception):
    """One that does not survive the way to another process."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)


def _bug() -> None:
    raise ZeroDivisionError("a mistake in the student's own code")


def _awkward() -> None:
    raise Awkward("a mistake", "in the student's own code")


def _torch() -> None:
    import torch

    torch.empty(10**14)


TRAPS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": _hang,
    "memory": _eat,
    "bug": _bug,
    "awkward": _awkward,
    "torch": _torch,
}
