"""How a board was conducted: rows that change are counted and said, runs that are missing too, and what it cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.conduct import COST, REPLAYS, BoardCost, Conduct, conduct_of, note_replay
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.folder import read_rows
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.tables import write_csv, write_page
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.synthetic import make_row
from tests.toys import TOY_BOARD
from tests.weird import Weird


class Moody(Weird):
    """Does something else each time that it is asked, whatever the seed."""

    asked = 0

    def act(self, observation: object, info: dict[str, object]) -> object:
        type(self).asked += 1
        action = super().act(observation, info)
        action[self.asked % len(action)] = 0.01  # type: ignore[index]
        return action


BOARD = TOY_BOARD | {
    "teachers": ["stratified", {"name": "tests.dataenv.leaderboard.test_conduct:Moody"}],
    "references": ["nothing"],
    "mixtures": {},
}


def test_a_row_that_changes_on_replay_is_counted_and_said(
    toys: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board, folder = Board.model_validate(BOARD), tmp_path / "toy"
    play(board, Runner(Store(None)), folder)
    assert not (folder / REPLAYS).exists()
    Moody.asked += 1  # so that its next lessons are others
    rows = play(board, Runner(Store(None)), folder)
    assert "Moody, seed 0: the row changed when the run was played again" in caplog.text
    conduct = conduct_of(folder, board)
    assert set(conduct.replayed) == {"Moody"}
    summary = summarise(rows, (), conduct)
    assert any("Moody" in said and "changed when the run was played again" in said for said in summary.warnings)
    write_page(rows, tmp_path / "p.html", (), None, (), conduct)
    write_csv(rows, tmp_path / "t.csv", (), conduct)
    assert "changed on replay" in (tmp_path / "p.html").read_text()
    head, *lines = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    counted = {line[head.index("teacher")]: line[head.index("replayed")] for line in lines}
    assert counted == {"stratified": "0", "Moody": str(conduct.replayed["Moody"]), "nothing": "0"}


def test_a_row_that_is_taken_away_is_missed(toy_folder: Path) -> None:
    board = Board.model_validate(TOY_BOARD)
    next((toy_folder / "rows").glob("failure--1.json")).unlink()
    summary = summarise(read_rows(toy_folder), (), conduct_of(toy_folder, board))
    assert "1 of 8 runs have no row here: failure 1." in summary.warnings
    failure = next(s for s in summary.teachers if s.teacher == "failure")
    assert failure.runs == "1 of 2 runs"


def test_what_a_board_cost_is_what_its_runs_cost_when_they_were_computed(toys: None, tmp_path: Path) -> None:
    store, board = Store(tmp_path / "store"), Board.model_validate(TOY_BOARD)
    first = Runner(store)
    play(board, first, tmp_path / "a")
    cost = conduct_of(tmp_path / "a", board).cost
    assert cost is not None
    assert cost.unknown == 0
    assert cost.seconds > 0
    store.close()
    again = Runner(Store(tmp_path / "store"))
    play(board, again, tmp_path / "b")
    assert again.trained == 0
    assert (tmp_path / "b" / COST).read_bytes() == (tmp_path / "a" / COST).read_bytes()


def test_where_a_part_is_unknown_the_price_is_too(toys: None, tmp_path: Path) -> None:
    store, board = Store(tmp_path / "store"), Board.model_validate(TOY_BOARD)
    play(board, Runner(store), tmp_path / "a")
    store.close()
    (tmp_path / "store" / "costs.jsonl").unlink()
    rows = play(board, Runner(Store(tmp_path / "store")), tmp_path / "b")
    conduct = conduct_of(tmp_path / "b", board)
    assert conduct.core_minutes is None
    assert summarise(rows, (), conduct).price_of_resolution is None


def test_core_minutes_are_known_or_not() -> None:
    conduct = Conduct(cost=BoardCost(seconds=600, unknown=0))
    assert conduct.core_minutes == 10
    assert Conduct().core_minutes is None


@pytest.mark.parametrize(("name", "text"), [(REPLAYS, "{}\n"), (COST, json.dumps({"seconds": -1, "unknown": 0}))])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingError, match="move it away"):
        conduct_of(tmp_path, None)


def test_a_row_of_a_release_without_profiles_has_not_changed(tmp_path: Path) -> None:
    one = {"step": 0, "diagnoser": "task", "problems": 1, "missing": {"copy": 1.0}}
    before, after = (Row.model_validate(make_row("stat-sel") | more) for more in ({}, {"profiles": [one]}))
    assert note_replay(tmp_path, before, after) is None
    other = Row.model_validate(make_row("stat-sel") | {"profiles": [one | {"problems": 2}]})
    assert note_replay(tmp_path, after, other) is not None, "another profile is another run"
