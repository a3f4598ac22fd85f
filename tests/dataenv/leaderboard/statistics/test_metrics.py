"""Metrics: columns that a board names, computed from its rows; and what is said of one that is wrong."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.folder import Manifest, differences
from dataenv.leaderboard.metric import Metric, metric_of
from dataenv.leaderboard.report.tables import terminal_table, write_csv, write_page
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.summary import summarise
from tests.toys import TOY_BOARD

NAMES = ("transfer", "worst-skill", "forgotten", "kept-share", "teacher-tokens")


class Steps(Metric):
    """Lessons of a run."""

    unit, higher_is_better = "lessons", None

    def of(self, row: Row) -> float | None:
        return float(len(row.steps) - 1)


def shown(rows: Any, metrics: tuple[str, ...], width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(terminal_table(rows, metrics))
    return console.export_text()


def test_mean_and_interval_are_those_of_the_rows(board: list[dict[str, Any]]) -> None:
    summary = summarise(board, NAMES)
    random = next(s for s in summary.teachers if s.teacher == "random")
    [transfer, worst, *_] = random.metrics
    rows = [Row.model_validate(row) for row in board if row["teacher"] == "random"]
    shares = [row.transfer.correct.count("1") / row.transfer.n for row in rows if row.transfer]
    assert transfer.mean == pytest.approx(np.mean(shares))
    reach = 2.5706 * np.std(shares, ddof=1) / np.sqrt(6)  # t of 5 degrees of freedom
    assert transfer.low is not None
    assert transfer.mean is not None
    assert transfer.mean - transfer.low == pytest.approx(reach, rel=1e-3)
    assert worst.mean == pytest.approx(np.mean([min(row.test.by_skill) / 100 for row in rows if row.test]))


def test_they_are_columns_everywhere_and_only_where_they_are_named(board: list[dict[str, Any]], tmp_path: Path) -> None:
    plain, table = shown(board, ()), shown(board, NAMES)
    assert "kept-share" not in plain
    for name in NAMES:
        assert f"{name} " in table
    assert "forgotten, %: Largest fall" in table
    assert "(lower is better; selection split)." in table
    write_csv(board, tmp_path / "plain.csv")
    write_csv(board, tmp_path / "more.csv", NAMES)
    plain_rows, more = (list(csv.DictReader((tmp_path / f).open())) for f in ("plain.csv", "more.csv"))
    assert not any(name.startswith("metric_") for name in plain_rows[0])
    assert 0 < float(more[0]["metric_worst-skill_low"]) < float(more[0]["metric_worst-skill"]) < 1
    write_page(board, tmp_path / "plain.html")
    write_page(board, tmp_path / "more.html", NAMES)
    assert "kept-share" not in (tmp_path / "plain.html").read_text()
    assert (tmp_path / "more.html").read_text().count("kept-share, %<span") == 2  # teachers and references


def test_f1_of_calls_is_that_of_the_counts_of_a_row_and_untold_without_them(board: list[dict[str, Any]]) -> None:
    row, names = board[0], ("call-f1", "transfer-call-f1")
    counts = {"wanted": (30, 40), "given": (30, 60)}  # recall 0.75, precision 0.5
    counted = row | {split: row[split] | {"part_counts": counts} for split in ("test", "transfer")}
    assert [metric_of(name).of(Row.model_validate(counted)) for name in names] == [pytest.approx(0.6)] * 2
    assert [metric_of(name).of(Row.model_validate(row)) for name in names] == [None, None]


def test_where_a_run_cannot_tell_there_is_no_mean(board: list[dict[str, Any]]) -> None:
    rows = [row | {"transfer": None} if (row["teacher"], row["seed"]) == ("random", 0) else row for row in board]
    [found] = next(s for s in summarise(rows, ("transfer",)).teachers if s.teacher == "random").metrics
    assert (found.mean, found.low, found.told) == (None, None, 5)
    assert "–" in shown(rows, ("transfer",))


def test_one_of_your_own(board: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["metric"], "steps", Steps)
    assert "steps lessons [95 %]" in shown(board, ("steps",))
    [found] = summarise(board, ("steps",)).teachers[0].metrics
    assert found.mean == found.low == found.high


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("no.module:Here", "cannot be loaded"),
        (dict, "no subclass of dataenv.leaderboard.metric.Metric"),
        (type("Bare", (Metric,), {"unit": "%"}), "lacks of"),
        (type("Unitless", (Metric,), {"of": lambda *_: 1.0}), "has the unit None"),
        (type("Wordy", (Metric,), {"unit": "%", "of": lambda *_: "much"}), "is 'much'; give a finite number"),
        (type("Percent", (Metric,), {"unit": "%", "of": lambda *_: 57.3}), "is 57.3; give a share"),
        (type("Fails", (Metric,), {"unit": "%", "of": lambda *_: 1 / 0}), "fails .ZeroDivisionError"),
    ],
)
def test_a_metric_that_breaks_its_contract_is_one_sentence(
    board: list[dict[str, Any]], thing: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._HERE["metric"], "broken", thing)
    with pytest.raises(SettingError, match=f"metric 'broken' .*{said}"):
        summarise(board, ("broken",))


def test_a_board_names_them_and_they_decide_nothing(toys: None) -> None:
    plain, more = Board.model_validate(TOY_BOARD), Board.model_validate(TOY_BOARD | {"metrics": ["transfer"]})
    assert "metrics" not in plain.model_dump(mode="json")
    assert differences(Manifest.of(plain), Manifest.of(more)) == []
    with pytest.raises(ValueError, match="metric 'transfr' is not registered; did you mean 'transfer'"):
        Board.model_validate(TOY_BOARD | {"metrics": ["transfr"]})
