"""A board whose runs are played whole in worker processes has the rows that it has anyhow."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from dataenv.environment.steps import StepRecord
from dataenv.errors import SettingError
from dataenv.execution.executors import Processes
from dataenv.execution.executors.base import HUNG
from dataenv.execution.executors.worker import Limits
from dataenv.execution.inline import Inline
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import Player, play
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import Run
from dataenv.leaderboard.trackers import Tracker
from dataenv.leaderboard.whole_runs import LOST, WholeRuns
from tests.tiny import TINY

TOML: dict[str, Any] = {
    "name": "tiny",
    "seeds": [0, 1],
    "teachers": ["stratified"],
    "references": ["nothing", "static-best"],
    "mixtures": {"seeds": [7], "weights": {"plain": {}, "no-hash": {"hash": 0}}},
    "tune": {"rates": [3e-4, 1e-2], "seeds": [8]},
    "setting": TINY,
}


class Noted(Tracker):
    """What was told of each run, in order."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, int, str], list[Any]] = defaultdict(list)

    def start(self, cell: Run) -> None:
        self.told[cell.label, cell.seed, cell.setting.digest].append("start")

    def step(self, cell: Run, record: StepRecord) -> None:
        self.told[cell.label, cell.seed, cell.setting.digest].append(record)

    def done(self, cell: Run, error: str | None) -> None:
        self.told[cell.label, cell.seed, cell.setting.digest].append(error)


def played(home: Path, player: type[Player], **changes: Any) -> tuple[list[Row], Runner, Noted]:
    runner, watch = Runner(Store(home / "store"), Processes(2) if player is WholeRuns else Inline()), Noted()
    try:
        return play(Board.model_validate(TOML | changes), runner, home / "board", watch, player=player), runner, watch
    finally:
        runner.executor.close()


def test_rows_costs_and_what_trackers_are_told_are_the_same(tmp_path: Path) -> None:
    (rows, runner, watch), (others, other, noted) = played(tmp_path / "a", Player), played(tmp_path / "b", WholeRuns)
    assert others == rows
    assert 0 < runner.trained <= other.trained  # two workers may come to one lesson at the same time
    assert other.asked == runner.asked
    assert noted.told == watch.told
    for path in (tmp_path / "a" / "board" / "rows").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "board" / "rows" / path.name).read_bytes()
    assert json.loads((tmp_path / "b" / "board" / "cost.json").read_text())["unknown"] == 0
    rows_again, again, _ = played(tmp_path / "b", WholeRuns)
    assert (rows_again, again.trained) == (rows, 0)


@pytest.mark.parametrize("times", [1, 3])
def test_a_worker_that_is_killed_is_made_anew_and_given_up_in_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    args = {"path": str(tmp_path / "died"), "times": times}
    deadly = {"name": "tests.weird:KillsItsProcess", "args": args}
    changes: dict[str, Any] = {
        "seeds": [0],
        "teachers": ["stratified", deadly],
        "references": ["nothing"],
        "tune": None,
    }
    rows, _, _ = played(tmp_path, WholeRuns, **changes)
    found = {row.teacher: row for row in rows}
    assert not found["nothing"].failed
    assert [row.error for row in rows if row.failed] == ([LOST] if times == 3 else [])
    assert ("it died 1 times" in caplog.messages) == (times == 1)  # said in the worker, and told here
    assert sum("try " in said for said in caplog.messages) == times


@pytest.mark.slow
def test_a_job_past_its_deadline_ends_its_worker_and_in_the_end_its_run(tmp_path: Path) -> None:
    runner = Runner(Store(tmp_path / "store"), Processes(2, Limits(deadline=0.001)))
    changes: dict[str, Any] = {"seeds": [0], "references": ["nothing"], "tune": None}
    try:
        rows = play(Board.model_validate(TOML | changes), runner, tmp_path / "board", player=WholeRuns)
    finally:
        runner.executor.close()
    assert [row.error for row in rows] == [LOST, LOST]
    assert "execute" in (tmp_path / "store" / HUNG).read_text()


def test_it_wants_worker_processes(tmp_path: Path) -> None:
    runner = Runner(Store(tmp_path / "store"), Inline())
    with pytest.raises(SettingError, match="give executor 'processes'"):
        play(Board.model_validate(TOML), runner, tmp_path / "board", player=WholeRuns)


def test_no_server_answers_in_the_place_of_the_student(tmp_path: Path) -> None:
    runner = Runner(Store(tmp_path / "store"), Processes(2))
    board = Board.model_validate(TOML)
    served = board.model_copy(update={"setting": board.setting.model_copy(update={"answers": "vllm"})})
    with pytest.raises(SettingError, match="leave one of them out"):
        play(served, runner, tmp_path / "board", player=WholeRuns)
