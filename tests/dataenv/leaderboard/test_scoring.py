"""Which students' test exams a learning curve is made of; a board with such a curve plays, resumes, is regraded."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.tables import terminal_table, write_csv, write_page
from dataenv.leaderboard.rescore import rescore
from dataenv.leaderboard.scoring import opened_steps
from dataenv.leaderboard.statistics.outcomes import outcome
from tests.toys import TOY_BOARD

AREA = TOY_BOARD | {"primary": "area"}


@pytest.mark.parametrize(
    ("spent", "parts", "steps"),
    [
        ([0, 10, 20, 30, 40, 50, 60, 70, 80], 4, [0, 2, 4, 6, 8]),
        ([0, 10, 20], 4, [0, 2]),  # it stopped at a quarter of the purse, and is carried forward
        ([0, 400], 4, [0, 1]),
        ([0], 4, [0]),
        ([0, 40, 80], 8, [0, 1, 2]),
    ],
)
def test_the_nearest_students_to_equal_parts_of_the_purse(spent: list[int], parts: int, steps: list[int]) -> None:
    assert opened_steps(spent, 80, parts) == steps


def test_a_board_of_the_area_plays_resumes_and_is_graded_again(toys: None, tmp_path: Path) -> None:
    board, store = Board.model_validate(AREA), Store(None)
    rows = play(board, Runner(store), tmp_path / "a")
    plain = play(Board.model_validate(TOY_BOARD), Runner(store), tmp_path / "plain")
    for row, other in zip(rows, plain, strict=True):
        assert row.curve is not None
        assert row.curve.purse == 1200
        same = row.model_copy(update={"curve": None}) == other
        assert same or row.teacher == "static-best", "nothing else depends on it but which mixture is the best"
        selected = [p for p in row.curve.points if p.step == row.selected]
        assert all(point.correct == row.test.correct for point in selected)
    again = Runner(store)
    play(board, again, tmp_path / "b")
    assert again.trained == 0
    for path in (tmp_path / "a" / "rows").iterdir():
        assert (tmp_path / "b" / "rows" / path.name).read_bytes() == path.read_bytes()
    assert rescore(tmp_path / "a", store, tmp_path / "c").rows == sorted(rows, key=lambda r: (r.teacher, r.seed))


def test_page_table_and_csv_name_the_outcome(toys: None, tmp_path: Path) -> None:
    rows = play(Board.model_validate(AREA), Runner(Store(None)), tmp_path / "a")
    write_page(rows, tmp_path / "page.html")
    write_csv(rows, tmp_path / "table.csv")
    page = (tmp_path / "page.html").read_text()
    assert "primary outcome: area under the learning curve on the test split" in page
    assert "By area under the learning curve on the test split." in page
    head, first = (line.split(",") for line in (tmp_path / "table.csv").read_text().splitlines()[:2])
    shown = dict(zip(head, first, strict=True))
    assert shown["primary_outcome"] == "area"
    best = [outcome(row).value for row in rows if row.teacher == shown["teacher"]]
    assert float(shown["outcome"]) == pytest.approx(sum(best) / len(best))
    assert terminal_table(rows).summary.primary == "area"


def test_points_without_an_area_are_refused() -> None:
    with pytest.raises(ValidationError, match="curve_points is given, and primary is 'final'"):
        Board.model_validate(TOY_BOARD | {"curve_points": 8})
