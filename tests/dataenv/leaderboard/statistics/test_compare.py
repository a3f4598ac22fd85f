"""``compare``: paired by seed and item, within a board and across two."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from dataenv.errors import SettingError
from dataenv.leaderboard.accuracy import number
from dataenv.leaderboard.rows import Row, read
from dataenv.leaderboard.statistics.compare import compare_boards, compare_teachers, sentences, table
from dataenv.leaderboard.statistics.comparisons import compare
from dataenv.leaderboard.statistics.formulas import scored_rows
from tests.dataenv.leaderboard.statistics.test_outcomes import with_curve
from tests.dataenv.leaderboard.synthetic import make_row


@pytest.fixture
def rows(board: list[dict[str, Any]]) -> list[Row]:
    return read(board)


def other(**changes: Any) -> list[Row]:
    """A second board of two teachers, with another purse."""
    names = ("stratified", "failure", "nothing")
    made = [make_row(name, seed, purse=600_000) for name in names for seed in range(4)]
    return read([row | changes for row in made])


def test_two_teachers_of_a_board(rows: list[Row]) -> None:
    pair = compare_teachers(rows, "stat-sel", "stratified")
    assert pair.comparison == compare("stat-sel", "stratified", scored_rows(rows))
    c = pair.comparison
    assert c.p_adjusted is None
    net = sum(row.teacher.k - row.baseline.k for row in pair.by_skill)
    assert net == c.won - c.lost
    assert sum(row.teacher.n for row in pair.by_skill) == c.items
    said = "\n".join(sentences(pair))
    assert "The smallest gain that could have been seen is" in said
    assert "not corrected, and looked up after the board was played" in said
    assert f"{c.won:,} won, {c.lost:,} lost" in said
    assert said.count(": ") >= len(c.seeds)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table(pair))
    shown = console.export_text()
    assert all(skill in shown for skill in rows[0].skills)


def test_a_failed_run_is_scored_and_said(rows: list[Row]) -> None:
    pair = compare_teachers(rows, "frontier", "stratified")
    assert "frontier failed on seed 2, scored as the untaught student" in pair.notes
    assert 2 in pair.comparison.seeds


def test_the_same_teachers_on_two_boards(rows: list[Row]) -> None:
    pairs = compare_boards(rows, other(), (), ("a", "b"))
    assert [pair.comparison.teacher for pair in pairs] == ["failure of a", "nothing of a", "stratified of a"]
    assert all(pair.comparison.seeds == (0, 1, 2, 3) for pair in pairs)
    assert any("differs too: setting.budget.student_tokens: 600000 → 1200000" in note for note in pairs[0].notes)
    one = compare_boards(rows, other(), ("failure",), ("a", "b"))
    assert one == pairs[:1]
    same = compare_boards(rows, rows, ("failure",), ("a", "b"))[0]
    assert (number(same.comparison.gain), same.comparison.won, same.comparison.lost) == (0.0, 0, 0)
    assert "could have been seen" not in " ".join(sentences(same))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hashes": {"task": "x", "student": "s"}}, "different tasks"),
        ({"simulated": True}, "simulated student"),
    ],
)
def test_boards_that_ask_something_else_are_refused(rows: list[Row], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        compare_boards(rows, other(**changes), (), ("a", "b"))


def test_boards_of_other_exam_sizes_are_refused(rows: list[Row]) -> None:
    cut = []
    for row in other():
        assert row.test is not None
        n = (row.test.n[0] - 1, *row.test.n[1:])
        k = row.test.by_skill[0] - (row.test.correct[0] == "1")
        test = {"correct": row.test.correct[1:], "n": n, "by_skill": (k, *row.test.by_skill[1:])}
        cut.append(Row.model_validate(row.model_dump(mode="json") | {"test": test}))
    with pytest.raises(SettingError, match="different test items"):
        compare_boards(rows, cut, (), ("a", "b"))


def test_names_that_are_not_there(rows: list[Row]) -> None:
    with pytest.raises(SettingError, match="did you mean 'stratified'"):
        compare_teachers(rows, "stratifed", "failure")
    with pytest.raises(SettingError, match="compared with itself"):
        compare_teachers(rows, "failure", "failure")
    with pytest.raises(SettingError, match="'frontier' is not on board"):
        compare_boards(rows, other(), ("frontier",), ("a", "b"))


def test_two_that_answered_nothing_right_are_not_compared() -> None:
    rows = other()
    for row in rows:
        assert row.test is not None
        test = {"correct": "0" * len(row.test.correct), "n": row.test.n, "by_skill": [0] * len(row.test.n)}
        rows[rows.index(row)] = Row.model_validate(row.model_dump(mode="json") | {"test": test})
    said = " ".join(sentences(compare_teachers(rows, "failure", "stratified")))
    assert "Neither of the two answered any test problem right" in said
    assert "could have been seen" not in said


def test_boards_of_two_primary_outcomes_are_refused() -> None:
    names = ("stratified", "failure")
    ours = read([with_curve(name, seed) for name in names for seed in range(2)])
    theirs = read([make_row(name, seed) for name in names for seed in range(2)])
    with pytest.raises(SettingError, match="different primary outcomes"):
        compare_boards(ours, theirs, (), ("a", "b"))
    assert compare_boards(ours, ours, ("failure",), ("a", "b"))[0].comparison.gain.value == 0.0
