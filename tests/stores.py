"""Stores that an episode left, and what befalls their files."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import ROWS, Store
from tests.toys import TOYS


def play(store: Path, steps: int = 3) -> TeachingEnv:
    """An episode of a toy on a store of its own opening, which is closed afterwards; needs the fixture ``toys``."""
    runner = Runner(Store(store))
    env = TeachingEnv("skill-list", runner=runner, **TOYS)
    env.reset(seed=0)
    for step in range(steps):
        env.step(np.array([0.2 + 0.2 * step, 0.5], np.float32))
    runner.store.close()
    return env


def execute(store: Path, *commands: str) -> None:
    """Change the rows of a store by hand, in one go."""
    with closing(sqlite3.connect(store / ROWS)) as rows:
        for command in commands:
            rows.execute(command)
        rows.commit()


@contextmanager
def mounted_to_read(folder: Path, at: Path) -> Iterator[Path]:
    """A folder once more, where nobody may write, root neither; the test is skipped where nobody may mount."""
    at.mkdir()
    for words in (["mount", "--bind", str(folder), str(at)], ["mount", "-o", "remount,bind,ro", str(at)]):
        if subprocess.run(words, capture_output=True, check=False).returncode:
            subprocess.run(["umount", str(at)], capture_output=True, check=False)
            pytest.skip("this machine lets nobody mount")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)
