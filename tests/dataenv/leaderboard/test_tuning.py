"""Learning rates that a board chooses for each teacher, on seeds of their own."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.folder import read_rows
from dataenv.leaderboard.planning.plan import make_plan
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.again import toml
from dataenv.leaderboard.report.page import render
from dataenv.leaderboard.report.tables import terminal_table
from dataenv.leaderboard.rows import Row, read
from dataenv.leaderboard.statistics.summary import summarise
from students.base import Data, Recipe, Trained, TrainingDivergedError
from tests.toys import TOY_BOARD, Apprentice

RATES = [0.001, 0.002, 0.5]
UNEVEN = {"name": "static", "label": "uneven", "args": {"weights": {"long": 3.0}, "other": 1.0}}
TUNE: dict[str, Any] = TOY_BOARD | {"teachers": ["stratified", UNEVEN], "tune": {"rates": RATES, "seeds": [8, 9]}}


class Fussy(Apprentice):
    """Learns all of an even lesson at 0.001 and of another at 0.002, else a fifth of it; diverges at 0.5."""

    name = "fussy"

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        if recipe.rate == 0.5:
            raise TrainingDivergedError("the loss became nan at update 3; lower recipe.rate")
        lengths = [len(e.response) for e in data.lesson]
        even = lengths.count(3) == lengths.count(5)
        part = 1 if recipe.rate == (0.001 if even else 0.002) else 5
        _, report = super().fit(weights, data, recipe, seed)
        return super().fit(weights, Data(data.lesson[::part]), recipe, seed)[0], report


@pytest.fixture
def fussy(toys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDENTS, "fussy", f"{__name__}:Fussy")


def board(**changes: Any) -> Board:
    setting = TOY_BOARD["setting"] | {"student": "fussy"}
    return Board.model_validate(TUNE | {"setting": setting} | changes)


def played(folder: Path, store: Store, **changes: Any) -> tuple[list[Row], Runner]:
    runner = Runner(store)
    return play(board(**changes), runner, folder), runner


def test_each_teacher_is_played_at_the_rate_that_did_best_for_it(fussy: None, tmp_path: Path) -> None:
    store = Store(None)
    rows, _ = played(tmp_path / "toy", store)
    assert {(row.teacher, row.seed) for row in rows} == {
        (name, seed) for name in ("stratified", "uneven", "nothing", "static-best") for seed in (0, 1)
    }
    rates = {row.teacher: {row.setting["recipe"]["rate"]} for row in rows}  # type: ignore[call-overload,index]
    assert rates["stratified"] == rates["nothing"] == rates["static-best"] == {0.001}  # references have the baseline's
    assert rates["uneven"] == {0.002}
    for row in rows:
        assert row.tuned is not None
        assert {row.tuned.rate} == rates[row.teacher]
        assert row.tuned.setting_digest == board().setting.digest
        assert row.tuned.setting_digest != row.setting_digest
    again, runner = played(tmp_path / "toy", store)
    assert runner.trained == 0
    assert again == rows


def test_table_and_page_say_which_rates_were_chosen(fussy: None, tmp_path: Path) -> None:
    rows, _ = played(tmp_path / "toy", Store(None))
    summary = summarise(rows)
    assert summary.rates == {"stratified": 0.001, "uneven": 0.002, "nothing": 0.001, "static-best": 0.001}
    said = "Learning rates, chosen on other seeds and the selection split"
    console = Console(width=200, record=True)
    console.print(terminal_table(rows))
    text = console.export_text()
    assert said in text
    assert "stratified 0.001" in text
    assert said in render(rows, summary, board())


def test_a_diverged_rate_counts_as_the_untaught_student_and_is_never_chosen(fussy: None, tmp_path: Path) -> None:
    rows, _ = played(tmp_path / "toy", Store(None), tune={"rates": [0.5, 0.002], "seeds": [8]})
    assert {row.tuned.rate for row in rows if row.tuned} == {0.002}
    assert all(row.ended != "failed" for row in rows)


def test_the_plan_counts_the_search(fussy: None, tmp_path: Path) -> None:
    plan = make_plan(board(), Store(None), tmp_path, width=1)
    line = next(line for line in plan.lines if line.name == "rate search")
    assert line.runs == 2 * len(RATES) * 2  # teachers, rates, seeds


def test_other_rates_are_another_board(fussy: None, tmp_path: Path) -> None:
    store = Store(None)
    played(tmp_path / "toy", store)
    before = read_rows(tmp_path / "toy")
    with pytest.raises(SettingError, match=r"tune\.rates") as caught:
        played(tmp_path / "toy", store, tune={"rates": [0.001, 0.003], "seeds": [8, 9]})
    assert "8 rows there belong to none" in str(caught.value)
    with pytest.raises(SettingError, match="tune"):  # as is a board without any
        played(tmp_path / "toy", store, tune=None)
    assert read_rows(tmp_path / "toy") == before


def test_rows_at_rates_that_no_board_chose_stay_incomparable(fussy: None, tmp_path: Path) -> None:
    rows, _ = played(tmp_path / "toy", Store(None))
    bare = [row.model_copy(update={"tuned": None}) for row in rows]
    with pytest.raises(ValueError, match="differ in setting_digest"):
        read(bare)


def test_rows_of_one_teacher_have_one_rate(fussy: None, tmp_path: Path) -> None:
    rows, _ = played(tmp_path / "toy", Store(None))
    other, _ = played(tmp_path / "other", Store(None), tune={"rates": [0.002, 0.004], "seeds": [8]})
    mixed = [row for row in rows if row.seed == 0] + [row for row in other if row.seed == 1]
    with pytest.raises(ValueError, match="differ in"):
        read(mixed)


def test_a_board_with_rates_is_written_as_it_is_read(fussy: None) -> None:
    assert Board.model_validate(tomllib.loads(toml(board()))) == board()
    plain = Board.model_validate(TOY_BOARD)
    assert "tune" not in plain.model_dump(mode="json")  # a board without keeps its manifest


@pytest.mark.parametrize(
    ("tune", "said"),
    [
        ({"rates": [0.001]}, "at least 2"),
        ({"rates": [0.001, 0.001]}, "rates hold one value twice"),
        ({"rates": [0.001, 0.0]}, "greater than 0"),
        ({"rates": RATES, "seeds": [1, 7]}, "tune.seeds and seeds overlap"),
        ({"rates": RATES, "seeds": [7, 7]}, "seeds hold one value twice"),
        ({"seeds": [7]}, "rates"),
    ],
)
def test_what_cannot_be_searched_is_refused(fussy: None, tune: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        board(tune=tune)
