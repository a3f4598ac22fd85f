"""What a board that stops when it is decided is likely to take."""

from __future__ import annotations

from dataenv.leaderboard.config import BASELINE, Board, until_decided
from dataenv.leaderboard.planning.expected import expected, told_of

BOARD = {"name": "b", "seeds": [0], "teachers": [BASELINE, "random", "failure"], "references": ["nothing"]}


def test_a_board_of_fixed_seeds_has_none() -> None:
    assert expected(Board.model_validate(BOARD)) is None
    assert told_of(None, 10.0) == []


def test_it_is_a_part_of_the_most_and_more_where_somebody_is_better() -> None:
    found = expected(until_decided(Board.model_validate(BOARD)))
    assert found is not None
    assert 3 / 24 <= found.nobody < found.one < 1
    assert found == expected(until_decided(Board.model_validate(BOARD)))
    said = told_of(found, 600.0)[0]
    assert "24 at the most" in said
    assert f"about {round(600 * found.nobody) // 60}:" in said


def test_a_board_of_the_baseline_alone_decides_nothing() -> None:
    assert expected(until_decided(Board.model_validate(BOARD | {"teachers": [BASELINE]}))) is None
