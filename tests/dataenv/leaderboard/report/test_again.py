"""How the page says that a board is made again: the command works, and the file is the board's."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path

import pytest

from dataenv.leaderboard import config
from dataenv.leaderboard.config import Board, Entry, built_in, load
from dataenv.leaderboard.report.again import to_make_again, toml
from dataenv.leaderboard.report.tables import write_page
from dataenv.leaderboard.rows import read
from tests.dataenv.leaderboard.synthetic import make_board
from tests.toys import TOY_BOARD

ROWS = read(make_board())


def named(name: str) -> list:
    return [row.model_copy(update={"board": name}) for row in ROWS]


@pytest.mark.parametrize("name", sorted(built_in()))
def test_a_board_as_a_file_is_the_same_board(name: str) -> None:
    board = Board.model_validate(config.read(name)[1])  # its task is not looked at: that of stat-math is on the hub
    again = Board.model_validate(tomllib.loads(toml(board)))
    assert again.model_dump(mode="json") == board.model_dump(mode="json")
    fixed = board.model_copy(update={"until": None})  # as it is played without --until-decided
    assert to_make_again(named(name), fixed, ()) == {
        "command": f"dataenv leaderboard {name}", "name": "", "file": "", "own": [],
    }  # fmt: skip


def test_a_board_of_ones_own_shows_its_file_and_a_command_that_reads_it(tmp_path: Path) -> None:
    odd = TOY_BOARD | {
        "teachers": [
            "stratified",
            {"name": "mine:Coach", "args": {"say": 'a "quoted" ⟨text⟩\n', "deep": {"a b": None}}},
        ]
    }
    board = Board.model_validate(odd | {"setting": odd["setting"] | {"task": "my.tasks:Sums"}})
    made = to_make_again(named("toy"), board, ())
    assert made["command"] == "dataenv leaderboard toy.toml"
    assert made["name"] == "toy.toml"
    assert made["own"] == ["mine", "my.tasks"]
    again = Board.model_validate(tomllib.loads(made["file"]))
    assert again.setting == board.setting
    assert again.teachers[1].args["say"] == board.teachers[1].args["say"]
    write_page(ROWS, tmp_path / "page.html", (), board)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "save the file above under its name, where mine, my.tasks can be imported" in page
    assert "seeds = [0, 1]" in page


def test_one_of_ours_that_was_changed_is_ones_own() -> None:
    changed = load("smoke", {"seeds": [7]})
    made = to_make_again(named("smoke"), changed, ())
    assert made["command"] == "dataenv leaderboard smoke.toml"
    assert "seeds = [7]" in made["file"]


def test_teachers_that_were_added_are_added_again() -> None:
    plain = load("smoke")
    board = plain.model_copy(
        update={
            "teachers": (*plain.teachers, Entry(name="random"), Entry(name="failure", label="hard", args={"alpha": 3}))
        }
    )
    words = shlex.split(to_make_again(named("smoke"), board, ("random", "hard"))["command"])
    assert words[:5] == ["dataenv", "leaderboard", "smoke", "--add", "random"]
    assert json.loads(words[6]) == {"name": "failure", "label": "hard", "args": {"alpha": 3}}


def test_without_a_manifest_the_name_is_all_there_is() -> None:
    assert to_make_again(named("quick"), None, ())["command"] == "dataenv leaderboard quick"
    assert to_make_again(named("own"), None, ())["command"] == "dataenv leaderboard own.toml"
