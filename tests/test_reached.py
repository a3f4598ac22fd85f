"""The floor under what the tests reach: lines of all processes count, and too few fail the run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.reached import ROOT, pytest_sessionfinish, reached

MODULE = "tasks/records.py"


def left(folder: Path, worker: str, lines: list[int]) -> None:
    """What SlipCover leaves of one process."""
    found = {"files": {MODULE: {"executed_lines": lines}}}
    (folder / f"coverage-{worker}.json").write_text(json.dumps(found), encoding="utf-8")


def test_lines_of_all_processes_are_counted_and_modules_that_nobody_loads(tmp_path: Path) -> None:
    left(tmp_path, "gw0", [1, 3])
    left(tmp_path, "gw1", [3, 8])
    lines = reached(tmp_path)
    assert lines.pop(str(ROOT / MODULE)) == {1, 3, 8}
    assert len(lines) > 200
    assert not any(lines.values())


@pytest.mark.parametrize(("part", "status"), [(0.5, 1), (1.0, 0)])
def test_below_the_floor_the_run_fails(
    part: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = range(1, int(part * len((ROOT / MODULE).read_text(encoding="utf-8").splitlines())) + 1)
    left(tmp_path, "gw0", [*every])
    monkeypatch.setattr("tests.reached.PACKAGES", ())  # of this one module alone
    monkeypatch.setenv("SLIPCOVER_ENABLED", "1")
    monkeypatch.setenv("SLIPCOVER_COVERAGE_DIR", str(tmp_path))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    session: Any = SimpleNamespace(exitstatus=0)
    pytest_sessionfinish(session)
    assert session.exitstatus == status
    assert ("the floor is 93 %" in capsys.readouterr().out) == bool(status)
