"""Commands, typed in this process: in one of its own a command loads torch anew, which takes longer than most do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest


class Done(NamedTuple):
    """What a command that has ended leaves to who typed it."""

    code: object
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Runs a command in ``tmp_path``; all that it writes is read, by C and by other processes too."""
    from dataenv.cli import main

    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])

    def run(*words: str) -> Done:
        monkeypatch.setattr("sys.argv", ["dataenv", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capfd.readouterr())

    return run
