"""The command line in this process: a command in one of its own loads torch anew, which takes longer than most do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dataenv.cli import main
from tests.typed import Cli, Done


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Runs a command in ``tmp_path``; all that it writes is read, by C and by other processes too."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])

    def run(*words: str) -> Done:
        monkeypatch.setattr("sys.argv", ["dataenv", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capfd.readouterr())

    return run
