"""Boards that add seeds until their teachers are decided: real boards, cut off and resumed, logged, shown."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.conduct import COST
from dataenv.leaderboard.config import BASELINE, Board, Until, folder_name, until_decided
from dataenv.leaderboard.folder import MANIFEST
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.again import to_make_again, toml
from dataenv.leaderboard.report.tables import summarised, write_csv, write_page
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import Run, expected
from dataenv.leaderboard.sequential.judging import judge
from dataenv.leaderboard.sequential.looks import LOG, in_groups, monitored_of, read_log
from dataenv.leaderboard.trackers import Tracker
from tests.toys import TOY_BOARD

RULE = {"first": 3, "group": 2, "most": 7, "effect": 5.0, "worse": True}
SIMULATED: dict[str, Any] = {
    "name": "quiet",
    "seeds": [0],
    "teachers": ["stratified", "random", {"name": "static", "label": "one", "args": {"weights": {"first": 1}}}],
    "references": ["nothing", "format-only"],
    "until": {"first": 3, "group": 2, "most": 7, "effect": 20.0, "worse": True},
    "setting": {
        "task": "arithmetic",
        "student": "simulated",
        "warm_start": {"examples": 0},
        "recipe": {"updates": 32, "batch": 16},
        "lesson_size": 64,
        "items": {"feedback": 2, "selection": 4, "test": 10, "transfer": 0},
        "budget": {"student_tokens": 60_000},
    },
}
"""A board of simulated students: the teacher of one skill is much worse, the other one is not."""


class Cut(Exception):
    """The board is cut off here."""


class Scissors(Tracker):
    """Cuts a board off once so many runs have ended."""

    def __init__(self, after: int) -> None:
        self.left = after

    def done(self, cell: Run, error: str | None) -> None:
        self.left -= 1
        if not self.left:
            raise Cut


def played(folder: Path, store: Store, board: Board, **how: Any) -> list[Row]:
    rows = play(board, Runner(store), folder, in_parts=in_groups, **how)
    write_page(rows, folder / "leaderboard.html", played=board, how=monitored_of(folder))
    write_csv(rows, folder / "leaderboard.csv", how=monitored_of(folder))
    return rows


def contents(folder: Path) -> dict[str, bytes]:
    """All files but ``cost.json``: processor time is measured, and no two runs take the same."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != COST)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def board() -> Board:
    return until_decided(Board.model_validate(SIMULATED))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, board: Board) -> tuple[Path, list[Row]]:
    folder = tmp_path_factory.mktemp("whole") / "board"
    return folder, played(folder, Store(None), board)


def seeds_of(rows: Sequence[Row], teacher: str) -> set[int]:
    return {row.seed for row in rows if row.teacher == teacher}


def test_a_teacher_that_is_decided_stops_and_the_baseline_goes_on(whole: tuple[Path, list[Row]], board: Board) -> None:
    _, rows = whole
    looks = judge(board, rows)
    last = {one.teacher: one for one in looks[-1].teachers}
    assert {name: one.decision for name, one in last.items()} == {"random": "futile", "one": "worse"}
    assert {name: len(seeds_of(rows, name)) for name in last} == {"random": 3, "one": 7}
    assert seeds_of(rows, BASELINE) == seeds_of(rows, "nothing") == set(board.seeds[: looks[-1].seeds])
    assert seeds_of(rows, "format-only") == set(board.seeds[:3])
    assert not looks[-1].undecided or looks[-1].seeds == 7


def test_the_log_says_what_was_decided_and_of_which_seeds(whole: tuple[Path, list[Row]], board: Board) -> None:
    folder, rows = whole
    log = read_log(folder)
    assert tuple(line.look for line in log) == judge(board, rows)
    assert tuple(seed for line in log for seed in line.seeds) == board.seeds[: log[-1].look.seeds]
    assert {line.attempt for line in log} == {1}


def cut_and_resumed(board: Board, whole: Path, folder: Path, after: int) -> None:
    """Cut a board off after so many runs, go on, and end with the bytes of one that was not; then play it again."""
    store = Store(None)
    with pytest.raises(Cut):
        play(board, Runner(store), folder, Scissors(after), in_parts=in_groups)
    assert len(list((folder / "rows").glob("*.json"))) < len(list((whole / "rows").glob("*.json")))
    played(folder, store, board)
    assert contents(folder) == contents(whole)
    runner = Runner(store)
    play(board, runner, folder, in_parts=in_groups)
    assert runner.trained == 0
    assert contents(folder) == contents(whole)


def test_a_simulated_board_that_is_cut_off_between_groups_ends_with_the_same_bytes(
    whole: tuple[Path, list[Row]], board: Board, tmp_path: Path
) -> None:
    cut_and_resumed(board, whole[0], tmp_path / "board", after=15)  # 3 teachers and 2 references on 3 seeds


@pytest.mark.parametrize("after", [8, 14, 17])
def test_a_board_that_is_cut_off_ends_with_the_same_bytes(after: int, toys: None, tmp_path: Path) -> None:
    board = until_decided(Board.model_validate(TOY_BOARD | {"until": RULE}))
    played(tmp_path / "whole", Store(None), board)
    cut_and_resumed(board, tmp_path / "whole", tmp_path / "board", after)


def test_another_configuration_is_another_attempt_and_erases_nothing(
    toys: None, toy_store: Store, tmp_path: Path
) -> None:
    folder, first = tmp_path / "toy", until_decided(Board.model_validate(TOY_BOARD | {"until": RULE}))
    played(folder, toy_store, first)
    log = (folder / LOG).read_bytes()
    second = first.model_copy(update={"until": Until(**RULE | {"effect": 4.0})})
    with pytest.raises(SettingError, match=r"until\.effect"):
        played(folder, toy_store, second)
    rows = played(folder, toy_store, second, replace=True)
    assert (folder / LOG).read_bytes().startswith(log)
    assert [line.attempt for line in read_log(folder)][-1] == 2
    summary = summarised(rows, how=monitored_of(folder))
    assert summary.attempts == 2
    assert any("attempt 2" in said for said in summary.warnings)
    assert "attempt 2" in (folder / "leaderboard.html").read_text()
    with (folder / "leaderboard.csv").open() as file:
        assert {line["attempts"] for line in csv.DictReader(file)} == {"2"}


def test_a_look_that_comes_out_otherwise_is_written_too_and_said(toys: None, toy_store: Store, tmp_path: Path) -> None:
    folder, board = tmp_path / "toy", until_decided(Board.model_validate(TOY_BOARD | {"until": RULE}))
    played(folder, toy_store, board)
    lines = (folder / LOG).read_text().splitlines()
    changed = json.loads(lines[0])
    changed["look"]["teachers"][0]["gain"] = 0.123
    (folder / LOG).write_text("\n".join([json.dumps(changed), *lines[1:]]) + "\n")
    rows = played(folder, toy_store, board)
    assert len(read_log(folder)) == len(lines) + 1
    summary = summarised(rows, how=monitored_of(folder))
    assert any("Look 1 came out otherwise" in said for said in summary.warnings)


def test_a_log_that_is_none_is_refused(toys: None, toy_store: Store, tmp_path: Path) -> None:
    folder, board = tmp_path / "toy", until_decided(Board.model_validate(TOY_BOARD | {"until": RULE}))
    folder.mkdir()
    (folder / LOG).write_text('{"attempt": 1}\n')
    with pytest.raises(SettingError, match="line 1, is no look at a board"):
        play(board, Runner(toy_store), folder, in_parts=in_groups)
    assert (folder / LOG).read_text() == '{"attempt": 1}\n'


def test_a_board_of_the_baseline_alone_is_refused(toys: None, toy_store: Store, tmp_path: Path) -> None:
    board = until_decided(Board.model_validate(TOY_BOARD | {"teachers": [BASELINE], "until": RULE}))
    with pytest.raises(SettingError, match="add a teacher"):
        play(board, Runner(toy_store), tmp_path / "toy", in_parts=in_groups)


def test_a_report_says_who_was_stopped_and_when(whole: tuple[Path, list[Row]], board: Board) -> None:
    folder, rows = whole
    summary = summarised(rows, how=monitored_of(folder))
    standings = {s.teacher: s for s in summary.teachers}
    assert (standings["one"].verdict, standings["one"].decision) == ("worse", "worse")
    assert (standings["random"].verdict, standings["random"].decision) == ("cannot tell", "futile")
    assert "worse than stratified: one (7 seeds" in summary.reading[0]
    assert "stopped, for it does not differ by 20 points or more: random (3 seeds" in summary.reading[0]
    half = [row for row in rows if row.seed in board.seeds[:5]]
    assert "not finished" in " ".join(summarised(half, how=monitored_of(folder)).reading)
    early = [row for row in rows if row.seed in board.seeds[:2]]
    assert "No look yet" in summarised(early, how=monitored_of(folder)).reading[0]
    assert {s.verdict for s in summarised(early, how=monitored_of(folder)).teachers} == {"baseline", "cannot tell"}


def test_declared_seeds_follow_from_the_setting_alone() -> None:
    plain = Board.model_validate(SIMULATED)
    seeds = until_decided(plain).seeds
    assert len(set(seeds)) == 7
    assert until_decided(plain.model_copy(update={"seeds": (5, 6), "name": "other"})).seeds == seeds
    assert until_decided(until_decided(plain)).seeds == seeds
    longer = until_decided(plain.model_copy(update={"until": Until(most=30)})).seeds
    assert longer[:7] == seeds
    other = plain.setting.changed(lesson_size=65)
    assert not set(until_decided(plain.model_copy(update={"setting": other})).seeds) & set(seeds)


def test_a_board_without_the_rule_is_what_it_was(tmp_path: Path, toys: None, toy_store: Store) -> None:
    board = Board.model_validate(TOY_BOARD)
    assert "until" not in board.model_dump(mode="json")
    play(board, Runner(toy_store), tmp_path / "toy")
    assert not (tmp_path / "toy" / LOG).exists()
    assert "until" not in json.loads((tmp_path / "toy" / MANIFEST).read_text())["board"]
    assert monitored_of(tmp_path / "toy") is None
    assert (folder_name(board), folder_name(until_decided(board))) == ("toy", "toy-until")


def test_the_page_says_how_it_is_made_again(whole: tuple[Path, list[Row]], board: Board) -> None:
    again = to_make_again(whole[1], board, ())
    assert again["command"].endswith("--until-decided")
    assert until_decided(Board.model_validate(tomllib.loads(toml(board)))) == board


def test_a_rule_that_does_not_fit_is_refused_by_name() -> None:
    for wrong, said in (({"first": 9, "most": 6}, "first is 9"), ({"most": 1000, "group": 1}, "larger group")):
        with pytest.raises(ValueError, match=said):
            Until.model_validate(wrong)


def test_runs_that_are_expected_are_the_most_that_there_may_be(board: Board) -> None:
    most = expected(board)
    assert len(most) == 3 * 7 + 7 + 3
