"""What the fault tests share: a student that can be told to fail, here, in workers, and in drivers of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from tests.tiny import TINY

ROOT = Path(__file__).resolve().parents[2]
FAULTY: dict[str, Any] = TINY | {"student": "faulty"}


class Faults:
    """The folder of traps and log that `faulty` looks into; see outsider/faulty.py."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "DATAENV_FAULTS": str(folder),
            "PYTHONPATH": os.pathsep.join((str(ROOT / "tests/faults/outsider"), str(ROOT))),
            "OMP_NUM_THREADS": "1",
            "RAY_worker_niceness": "0",  # at 15, its default, other tests on the machine would starve the workers
            "COLUMNS": "150",
        }

    def set(self, trap: str, updates: int | None = None) -> None:
        """Set a trap, for training runs of so many updates alone if asked."""
        (self.folder / trap).write_text("" if updates is None else str(updates))

    def log(self, what: str) -> list[tuple[int, str]]:
        """The process and the name of each training run that `begun`, `ended`, or fell into a trap."""
        path = self.folder / "log"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(pid), name) for kind, pid, name in lines if kind == what]

    def processes(self, jobs: bool = False) -> list[int]:
        """Processes other than this one that were started for these faults; of Ray's, those that run a job if asked."""
        mark, found = f"DATAENV_FAULTS={self.folder}".encode(), []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
                words = (place / "cmdline").read_bytes()
                if int(parent) == os.getpid() and b"multiprocessing.resource_tracker" in words:
                    continue  # Python's own: the first process pool here starts it, and it ends with this process
                if jobs and not words.startswith(b"ray::dataenv-job"):
                    continue
                if state != "Z" and mark in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
        return [pid for pid in found if pid != os.getpid()]

    def board(self, seeds: int = 1, teachers: Sequence[Any] = ("random", "stratified", "failure", "frontier")) -> str:
        """Write a small board of `faulty`: some teachers and two references on every seed."""
        lines = [
            'name = "small"',
            f"seeds = {list(range(seeds))}",
            f"teachers = {_toml(list(teachers))}",
            'references = ["nothing", "joint"]',
            "[setting]",
            *(f"{name} = {_toml(value)}" for name, value in FAULTY.items()),
        ]
        (self.folder / "small.toml").write_text("\n".join(lines) + "\n")
        return "small.toml"

    def driver(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start the command line in a process of its own, in the folder of the faults."""
        return subprocess.Popen(
            [sys.executable, "-c", "from dataenv.cli import main; main()", *words],
            cwd=self.folder, env=os.environ | self.environ | environ, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """`faulty` is registered as by a package from outside, here and in every process started from here."""
    folder = tmp_path / "faults"
    folder.mkdir()
    made = Faults(folder)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(ROOT / "tests/faults/outsider"))
    registry._outside.cache_clear()
    yield made
    registry._outside.cache_clear()


def same_tables(straight: Path, other: Path) -> None:
    """Two results folders hold the same table, and the same rows but for the commit, which may move under a test."""
    tables = [(folder / "small" / "leaderboard.csv").read_bytes() for folder in (straight, other)]
    assert tables[0] == tables[1]
    rows = []
    for folder in (straight, other):
        read = {path.name: json.loads(path.read_text()) for path in (folder / "small" / "rows").iterdir()}
        rows.append(
            {name: {k: v for k, v in row.items() if k not in ("commit", "dirty")} for name, row in read.items()}
        )
    assert rows[0] == rows[1]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def until(holds: Callable[[], Any], seconds: float = 180.0) -> Any:
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{holds} did not hold within {seconds} seconds")
