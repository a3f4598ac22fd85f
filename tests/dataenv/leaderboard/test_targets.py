"""A board whose Setting has targets: every skill may be taught, and what is ranked looks at the targets alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv.analysis.credit import leave_one_out
from dataenv.analysis.transfer import measure
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.folder import read_rows
from dataenv.leaderboard.planning.validate import examine
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.page import render
from dataenv.leaderboard.report.tables import terminal_table, write_csv
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.compare import compare_teachers
from dataenv.leaderboard.statistics.summary import summarise
from dataenv.setting import make_setting
from tests.toys import TOY_BOARD, write_toml

SETTING: dict[str, Any] = TOY_BOARD["setting"] | {"targets": ["long"]}
BOARD: dict[str, Any] = TOY_BOARD | {"setting": SETTING}


@pytest.fixture(scope="module")
def played(toys: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    play(Board.model_validate(BOARD), Runner(Store(None)), folder)
    return folder


def test_all_may_be_taught_and_the_targets_are_rewarded(toys: None) -> None:
    setting = make_setting(SETTING)
    asked = {split: {p.skills[0] for p in setting.exam_items(split)} for split in ("feedback", "selection", "test")}
    assert asked == {"feedback": {"short", "long"}, "selection": {"long"}, "test": {"long"}}
    env = TeachingEnv("skill-list", store="off", **SETTING)
    observation, info = env.reset(seed=0)
    assert Context(env).targets == ("long",)
    assert observation["accuracy"].shape == (2,)
    _, reward, *_, info = env.step(np.array([1, 0], np.float32))
    assert (env.history[-1].kept, reward) == (16, 0.0), "what is no target earns nothing by itself"
    _, reward, *_, info = env.step(np.array([0, 1], np.float32))
    now = env.history[-1].selection
    assert now.n == (0, 5)
    assert info["score"] == pytest.approx(now.correct[1] / 5)


def test_a_board_counts_the_targets_alone(played: Path) -> None:
    rows = read_rows(played)
    board = summarise(rows)
    assert board.skills == ("long",)
    assert (board.test_items, board.equal_items) == (5, True)
    assert "Selection and test ask the Setting's targets alone: long." in board.sources
    for standing in (*board.teachers, *board.references):
        assert standing.worst is not None
        assert standing.worst[0] == "long"
        assert standing.score is not None
        assert standing.test is not None
        assert standing.by_skill == (standing.test,)
        assert standing.score.value == pytest.approx(standing.test.k / standing.test.n)
        assert standing.forgetting is not None
    for row in rows:
        assert row.targets == ("long",)
        assert row.test is not None
        assert row.test.n == (0, 5)
        assert all(step.selection.n == (0, 5) and step.feedback.n == (5, 5) for step in row.steps)


def test_its_tables_page_and_comparison_are_made(played: Path) -> None:
    rows = read_rows(played)
    html = render(rows, summarise(rows))
    assert "targets: long" in html
    assert "2 skills" in html
    pair = compare_teachers(rows, "failure", "stratified")
    assert [line.skill for line in pair.by_skill] == ["long"]
    write_csv(rows, played / "leaderboard.csv")
    with (played / "leaderboard.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert {line["teacher"]: line["test_n"] for line in table} == dict.fromkeys(
        ("stratified", "failure", "nothing", "static-best"), "10"
    )
    assert terminal_table(rows)
    assert not any("nan" in value.lower().split() for line in table for value in line.values())


def test_a_row_without_targets_still_needs_every_skill(played: Path) -> None:
    row = json.loads(read_rows(played)[0].model_dump_json())
    assert Row.model_validate(row).targets == ("long",)
    for targets in ([], ["short"], ["short", "long"]):
        with pytest.raises(ValueError, match="must"):
            Row.model_validate(row | {"setting": row["setting"] | {"targets": targets}})


def test_validate_knows_the_targets(toys: None, tmp_path: Path) -> None:
    assert examine(write_toml(tmp_path / "a.toml", BOARD)) == []
    strange = BOARD | {"setting": SETTING | {"targets": ["lonk"]}}
    (said,) = examine(write_toml(tmp_path / "b.toml", strange))
    assert "targets has 'lonk', which is no skill of task 'reverse'; did you mean 'long'?" in said
    with pytest.raises(SettingError, match="did you mean 'long'"):
        TeachingEnv(store="off", **strange["setting"])


def test_what_asks_about_all_skills_still_does(toys: None) -> None:
    """The transfer matrix and credit are about every pair of skills, whatever the board rewards."""
    setting = make_setting(SETTING)
    matrix = measure(setting, Runner(Store(None)), [0, 1], 4)
    plain = measure(setting.changed(targets=()), Runner(Store(None)), [0, 1], 4)
    assert matrix.n == (5, 5)
    assert matrix == plain
    env = TeachingEnv("skill-list", store="off", **SETTING)
    env.reset(seed=0)
    env.step(np.ones(2, np.float32))
    assert leave_one_out(env).n == (5, 5)


def test_a_setting_without_targets_keeps_its_name(toys: None) -> None:
    setting = make_setting(TOY_BOARD["setting"])
    assert "targets" not in setting.model_dump(mode="json")
    assert setting.digest == make_setting(TOY_BOARD["setting"] | {"targets": []}).digest != make_setting(SETTING).digest
